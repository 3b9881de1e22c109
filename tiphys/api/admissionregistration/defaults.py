"""What the server fills in for webhooks and admission policies."""

from typing import Any

from tiphys.api.declaration import sets_defaults

JsonObject = dict[str, Any]
_PACKAGE = "io.k8s.api.admissionregistration.v1."


@sets_defaults(_PACKAGE + "ValidatingWebhook")
def validating_webhook(hook: JsonObject) -> None:
    _matching(hook)
    hook.setdefault("failurePolicy", "Fail")
    hook.setdefault("timeoutSeconds", 10)


@sets_defaults(_PACKAGE + "MutatingWebhook")
def mutating_webhook(hook: JsonObject) -> None:
    validating_webhook(hook)
    hook.setdefault("reinvocationPolicy", "Never")


def _matching(obj: JsonObject) -> None:
    obj.setdefault("matchPolicy", "Equivalent")
    obj.setdefault("namespaceSelector", {})
    obj.setdefault("objectSelector", {})


@sets_defaults(_PACKAGE + "MatchResources")
def match_resources(obj: JsonObject) -> None:
    _matching(obj)


@sets_defaults(_PACKAGE + "Rule")
def rule(obj: JsonObject) -> None:
    obj.setdefault("scope", "*")


@sets_defaults(_PACKAGE + "RuleWithOperations")
def rule_with_operations(obj: JsonObject) -> None:
    rule(obj)


@sets_defaults(_PACKAGE + "NamedRuleWithOperations")
def named_rule_with_operations(obj: JsonObject) -> None:
    rule(obj)


@sets_defaults(_PACKAGE + "ServiceReference")
def service_reference(obj: JsonObject) -> None:
    obj.setdefault("port", 443)


@sets_defaults(_PACKAGE + "ValidatingAdmissionPolicySpec")
def validating_policy(spec: JsonObject) -> None:
    spec.setdefault("failurePolicy", "Fail")


@sets_defaults(_PACKAGE + "MutatingAdmissionPolicySpec")
def mutating_policy(spec: JsonObject) -> None:
    spec.setdefault("failurePolicy", "Fail")


@sets_defaults(_PACKAGE + "ParamRef")
def param_ref(reference: JsonObject) -> None:
    reference.setdefault("parameterNotFoundAction", "Deny")
