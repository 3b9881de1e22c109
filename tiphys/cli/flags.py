"""Flags that several verbs share, with kubectl's names."""

from __future__ import annotations

import argparse

from tiphys.cli.server import Server


def add_connection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", metavar="FILE", help="instead of $KUBECONFIG or ~/.kube/config")
    parser.add_argument("--context", metavar="NAME", help="a context of the kubeconfig")
    parser.add_argument("--as", dest="impersonate", default="", metavar="USER", help="act as another user")
    parser.add_argument("--request-timeout", default="0", metavar="DURATION", help="of one answer; 0: a minute")


def add_namespace(parser: argparse.ArgumentParser, *, all_namespaces: bool = False) -> None:
    parser.add_argument("-n", "--namespace", default="", metavar="NAME")
    if all_namespaces:
        parser.add_argument("-A", "--all-namespaces", action="store_true", help="in every namespace")


def add_selectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-l", "--selector", default="", metavar="SELECTOR", help="labels, such as app=web,tier!=db")
    parser.add_argument("--field-selector", default="", metavar="SELECTOR", help="fields, such as status.phase=Running")


def add_filename(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        metavar="FILE",
        help="a file, a directory, a URL, or - for standard input; may be given more than once",
    )
    parser.add_argument("-R", "--recursive", action="store_true", help="go into the directories below")


def namespace_of(arguments: argparse.Namespace, server: Server) -> str:
    """The namespace a command works in; "" for all of them."""
    if getattr(arguments, "all_namespaces", False):
        return ""
    return arguments.namespace or server.config.namespace or "default"


def selector_query(arguments: argparse.Namespace) -> dict[str, str]:
    given = {"labelSelector": arguments.selector, "fieldSelector": arguments.field_selector}
    return {name: text for name, text in given.items() if text}
