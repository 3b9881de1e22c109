"""What both kinds of admission webhook share: configurations, matching, the AdmissionReview, the call."""
