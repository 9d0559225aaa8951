// A dialog for what people add of their own, voices and faces alike: listed, deleted, added.

import { partsOf } from "./parts.js";
import { explainSample } from "./problems.js";

const SURE_FOR_MS = 4000; // a second press so soon means it

export class OwnDialog {
  #dialog;
  #api;
  #kind;
  #sample;
  #on;
  #parts;
  #opener;
  #uploads;
  #shown = "[]";
  #sending = null;

  /**
   * `kind`: `path` of its routes, `plural`, what the server is `working` on after an upload, and
   * pictures(item) for the list. `on`: opening(), and once the server has done it, added(item) or
   * deleted().
   */
  constructor(dialog, opener, { api, kind, sample, on }) {
    this.#dialog = dialog;
    this.#opener = opener;
    this.#api = api;
    this.#kind = kind;
    this.#sample = sample;
    this.#on = on;
    this.#parts = partsOf(dialog);
    sample.onProblem = (problem) => this.#show(problem);
    sample.onSaid = (text) => this.#say(text);
    opener.addEventListener("click", () => this.open());
    dialog.addEventListener("close", () => this.#reset());
    this.#parts.close.addEventListener("click", () => dialog.close());
    this.#parts.stop.addEventListener("click", () => this.#leave());
    this.#parts.form.addEventListener("submit", (event) => (event.preventDefault(), this.#add()));
  }

  async open() {
    this.#reset(); // something may have come, or failed, after it was closed
    this.#dialog.showModal();
    await this.#on.opening().catch((problem) => this.#show(problem));
  }

  /** What /health says of such uploads: `undefined` as long as it does not know. */
  offer(uploads = this.#uploads) {
    this.#uploads = uploads;
    const { whyNot, form, consent } = this.#parts;
    const isOffered = uploads?.supported === true;
    this.#opener.hidden = false;
    this.#opener.textContent = uploads?.supported === false ? "Built in" : "Your own";
    this.#opener.setAttribute("aria-label", `${this.#opener.textContent} ${this.#kind.plural}`);
    form.hidden = !isOffered;
    whyNot.hidden = isOffered;
    whyNot.textContent = uploads?.detail ?? "The server is still finding out. Look again in a moment.";
    consent.textContent = uploads?.consent ?? "";
  }

  /** Of all that the server has, those that are not built in. */
  list(items) {
    const own = items.filter((item) => !item.builtin);
    const shown = JSON.stringify(own);
    if (shown === this.#shown) return; // new lines would lose the focus and a press that asks back
    this.#shown = shown;
    this.#parts.list.replaceChildren(...own.map((item) => this.#line(item)));
    this.#parts.list.hidden = own.length === 0;
  }

  #line(item) {
    const line = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = item.name;
    line.append(...this.#kind.pictures(item), name, this.#eraser(item));
    return line;
  }

  /** It asks back in the same place, so that the focus stays where it is. */
  #eraser(item) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    const ask = (isSure) => {
      button.toggleAttribute("data-sure", isSure);
      button.textContent = isSure ? "Really delete?" : "Delete";
      button.setAttribute("aria-label", `${button.textContent} ${item.name}`);
    };
    ask(false);
    button.addEventListener("blur", () => ask(false));
    button.addEventListener("click", () => {
      if (button.hasAttribute("data-sure")) return this.#erase(item);
      ask(true);
      this.#say(`Press again to delete ${item.name}`);
      setTimeout(() => ask(false), SURE_FOR_MS);
    });
    return button;
  }

  async #erase(item) {
    this.#hideProblem();
    try {
      await this.#api.erase(`${this.#kind.path}/${item.id}`).catch(unlessGone);
      await this.#on.deleted();
      this.#parts.close.focus(); // the button that had it is gone
      this.#say(`${item.name} was deleted`);
    } catch (problem) {
      this.#show(problem);
    }
  }

  async #add() {
    if (this.#sending) return;
    this.#hideProblem();
    try {
      const added = await this.#send(this.#form());
      await this.#on.added(added);
      this.#dialog.close();
    } catch (problem) {
      if (problem.name !== "AbortError") this.#show(problem);
    } finally {
      this.#leave();
    }
  }

  #form() {
    const form = new FormData();
    const { field, blob } = this.#sample.take();
    form.set(field, blob, "sample");
    form.set("name", this.#parts.name.value.trim());
    form.set("consent", "true");
    return form;
  }

  #send(form) {
    this.#sending = new AbortController();
    const { sending, submit } = this.#parts;
    sending.hidden = false;
    submit.setAttribute("aria-disabled", "true");
    this.#sent(0);
    const onProgress = (share) => this.#sent(share);
    return this.#api.upload(this.#kind.path, form, { signal: this.#sending.signal, onProgress });
  }

  /** The upload's share, then the time in which the server looks at it. */
  #sent(share) {
    const { progress } = this.#parts;
    if (share < 1) progress.value = share;
    else progress.removeAttribute("value");
    this.#say(share < 1 ? "Sending" : this.#kind.working);
  }

  /** Ends an upload, wherever it is. */
  #leave() {
    this.#sending?.abort(new DOMException("left", "AbortError"));
    this.#sending = null;
    this.#parts.sending.hidden = true;
    this.#parts.submit.removeAttribute("aria-disabled");
  }

  #reset() {
    this.#leave();
    this.#hideProblem();
    this.#say("");
    this.#parts.form.reset();
    this.#sample.reset();
  }

  #show(problem) {
    const { title, advice } = explainSample(problem);
    const { problem: card, problemTitle, problemAdvice } = this.#parts;
    problemTitle.textContent = title;
    problemAdvice.textContent = advice;
    card.dataset.code = problem.code ?? "";
    card.hidden = false;
    this.#say("");
    card.scrollIntoView({ block: "nearest" });
    if (!problem.code) reportError(problem); // a fault of the page itself belongs in the console too
  }

  #hideProblem() {
    this.#parts.problem.hidden = true;
  }

  /** The dialog's own status line: what lies outside of it is not read out. */
  #say(text) {
    const { said } = this.#parts;
    if (said.textContent !== text) said.textContent = text;
  }
}

/** Deleted elsewhere meanwhile is deleted too. */
function unlessGone(problem) {
  if (problem.code !== "not_found") throw problem;
}
