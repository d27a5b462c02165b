"""Renders chat templates with jinja2 as Transformers' apply_chat_template does.

Reads a JSON object from standard input: `templates` (texts), and `cases` (objects of variables).
Writes a JSON array with one array per template, with the text per case, or null if it is refused.
"""

import json
import sys
from datetime import datetime

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """The tag around answers, which Transformers defines to find their tokens."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def render(template, variables):
    try:
        return template.render(bos_token="<s>", eos_token="</s>", **variables)
    except Exception:
        return None


def main():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda format: datetime.now().strftime(format)
    work = json.load(sys.stdin)
    rendered = []
    for source in work["templates"]:
        template = environment.from_string(source)
        rendered.append([render(template, variables) for variables in work["cases"]])
    json.dump(rendered, sys.stdout)


if __name__ == "__main__":
    main()
