// Space and Enter do what the large button does; Escape leaves.

const TAKES_KEYS = "a, button, input, select, textarea, summary, [tabindex]";

/** `on`: act() and leave(). Keys belong to a dialog or a control first, where one has the focus. */
export function listenToKeys(on) {
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return on.leave();
    if (event.target.closest?.(TAKES_KEYS)) return;
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    on.act();
  });
}
