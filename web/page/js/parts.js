// The elements of a piece of the page, by the data attributes that name them.

/** Those inside of `element` that are marked data-..., without a value. */
export function partsOf(element) {
  const parts = {};
  for (const part of element.querySelectorAll("*")) {
    for (const [name, value] of Object.entries(part.dataset)) if (value === "") parts[name] = part;
  }
  return parts;
}
