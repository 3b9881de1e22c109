"""What a name may look like (apimachinery util/validation).

Every check returns upstream's messages, none when the name passes.
"""

from __future__ import annotations

import ipaddress
import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_ENV_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_compiled = {
    pattern: re.compile(pattern, re.ASCII)
    for pattern in (_LABEL, _SUBDOMAIN, _LABEL_1035, _QUALIFIED, _LABEL_VALUE, _C_IDENTIFIER, _ENV_NAME, _CONFIG_KEY)
}


def _full(pattern: str, text: str) -> bool:
    return _compiled[pattern].fullmatch(text) is not None


def max_length(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def regex_message(message: str, pattern: str, *examples: str) -> str:
    """`message (e.g. 'a', or 'b', regex used for validation is 'r')`."""
    shown = ",  or ".join(f"'{example}'" for example in examples)
    prefix = f"e.g. {shown}, " if examples else ""
    return f"{message} ({prefix}regex used for validation is '{pattern}')"


def is_dns1123_label(text: str) -> list[str]:
    errors = [max_length(63)] if len(text) > 63 else []
    if not _full(_LABEL, text):
        if _full(_SUBDOMAIN, text):
            errors.append("must not contain dots")
        else:
            errors.append(
                regex_message(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                    "start and end with an alphanumeric character",
                    _LABEL,
                    "my-name",
                    "123-abc",
                )
            )
    return errors


def is_dns1123_subdomain(text: str) -> list[str]:
    errors = [max_length(253)] if len(text) > 253 else []
    if not _full(_SUBDOMAIN, text):
        errors.append(
            regex_message(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                "must start and end with an alphanumeric character",
                _SUBDOMAIN,
                "example.com",
            )
        )
    return errors


def is_dns1035_label(text: str) -> list[str]:
    errors = [max_length(63)] if len(text) > 63 else []
    if not _full(_LABEL_1035, text):
        errors.append(
            regex_message(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                "character, and end with an alphanumeric character",
                _LABEL_1035,
                "my-name",
                "abc-123",
            )
        )
    return errors


def is_qualified_name(text: str) -> list[str]:
    """A label or annotation key: [prefix/]name."""
    parts = text.split("/")
    errors = []
    if len(parts) == 2:
        prefix, name = parts
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            errors.extend(f"prefix part {message}" for message in is_dns1123_subdomain(prefix))
    elif len(parts) == 1:
        name = text
    else:
        return [
            "a qualified name "
            + regex_message(
                "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                "character",
                _QUALIFIED,
                "MyName",
                "my.name",
                "123-abc",
            )
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > 63:
        errors.append("name part " + max_length(63))
    if not _full(_QUALIFIED, name):
        errors.append(
            "name part "
            + regex_message(
                "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                "character",
                _QUALIFIED,
                "MyName",
                "my.name",
                "123-abc",
            )
        )
    return errors


def is_label_value(text: str) -> list[str]:
    errors = [max_length(63)] if len(text) > 63 else []
    if not _full(_LABEL_VALUE, text):
        errors.append(
            regex_message(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                "must start and end with an alphanumeric character",
                _LABEL_VALUE,
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return errors


def is_c_identifier(text: str) -> list[str]:
    if _full(_C_IDENTIFIER, text):
        return []
    return [
        regex_message(
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
            "characters or '_'",
            _C_IDENTIFIER,
            "my_name",
            "MY_NAME",
            "MyName",
        )
    ]


def is_env_var_name(text: str) -> list[str]:
    """v1.34 and later accept every printable ASCII character but '='."""
    if text and all(" " <= char <= "~" for char in text) and "=" not in text:
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def is_config_map_key(text: str) -> list[str]:
    errors = [max_length(253)] if len(text) > 253 else []
    if not _full(_CONFIG_KEY, text):
        errors.append(
            regex_message(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                _CONFIG_KEY,
                "key.name",
                "KEY_NAME",
                "key-name",
            )
        )
    elif text == ".":
        errors.append("must not be '.'")
    elif text == "..":
        errors.append("must not be '..'")
    elif text.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def is_valid_ip(text: str) -> list[str]:
    """Strict: no leading zeros, no IPv4-mapped forms."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if "%" in text or (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None):
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def is_port_number(number: int) -> list[str]:
    return [] if 1 <= number <= 65535 else ["must be between 1 and 65535, inclusive"]


def is_port_name(text: str) -> list[str]:
    """An IANA service name: at most 15 of [a-z0-9-], at least one letter."""
    errors = []
    if len(text) > 15:
        errors.append("must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", text, re.ASCII):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text, re.ASCII):
        errors.append("must contain at least one letter (a-z)")
    if "--" in text:
        errors.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def is_wildcard_dns1123_subdomain(text: str) -> list[str]:
    """A host name whose first label is a star."""
    errors = [max_length(253)] if len(text) > 253 else []
    if not (text.startswith("*.") and _full(_SUBDOMAIN, text[2:])):
        errors.append(
            regex_message(
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
                "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
                rf"\*\.{_SUBDOMAIN}",
                "*.example.com",
            )
        )
    return errors


def is_path_segment(text: str) -> list[str]:
    """Any name that can stand in a URL."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in text]


def is_cidr(text: str) -> list[str]:
    """An address and a prefix length; bits below the prefix are allowed, zones and leading zeros are not."""
    address, slash, length = text.partition("/")
    number = int(length) if re.fullmatch("0|[1-9][0-9]{0,2}", length, re.ASCII) else -1
    if slash and not is_valid_ip(address) and 0 <= number <= (128 if ":" in address else 32):
        return []
    return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
