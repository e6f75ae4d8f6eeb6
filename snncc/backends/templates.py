"""Fills in the jinja2 templates that lie beside a package, in one way for all of them."""

from __future__ import annotations

from functools import cache

import jinja2


def fill(package: str, name: str, /, **context: object) -> str:
    """The template `name` of the folder `templates` in `package`; a name that `context` lacks is an error.

    Only HTML is escaped: what goes into other files must have been made safe for them before.
    """
    return _environment(package).get_template(name).render(context)


def tidy(text: str, blank: int = 1) -> str:
    """Without blanks at the ends of lines, more than `blank` blank lines in a row, or blank lines at the end."""
    lines, gap = list[str](), 0
    for line in (each.rstrip() for each in text.splitlines()):
        if line:
            lines += [*[""] * min(gap, blank), line]
        gap = 0 if line else gap + 1
    return "".join(f"{line}\n" for line in lines)


@cache
def _environment(package: str) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=jinja2.select_autoescape(["html.j2"]),
    )
