"""admissionregistration.k8s.io: webhooks and policies that requests pass on their way in."""
