"""What a browser would send back from a form of the admin, unchanged."""

from typing import Any

from django.test import Client


def filled_in(client: Client, url: str) -> dict[str, Any]:
    """The values of every field and of every inline row of the form at ``url``, as they stand."""
    context = client.get(url).context
    forms = [context["adminform"].form]
    for formset in context["inline_admin_formsets"]:
        forms += [formset.formset.management_form, *formset.formset.forms]
    data: dict[str, Any] = {}
    for form in forms:
        for bound in form:
            value = bound.value()
            widget = bound.field.widget
            name = form.add_prefix(bound.name)
            if value is None or value is False:
                continue
            decompressed = getattr(widget, "decompress", None)
            if decompressed:
                parts = value if isinstance(value, (list, tuple)) else decompressed(value)
                data |= {f"{name}_{i}": "" if part is None else str(part) for i, part in enumerate(parts)}
            elif isinstance(value, (list, tuple)):
                data[name] = list(value)
            else:
                data[name] = value  # prepared by the field already
    return data
