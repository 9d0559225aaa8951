// The conversation, as it is said. Everything goes in as text, never as markup.

export const REST_LOST = "the rest was lost";

/** One question and its answer on the page. */
class Exchange {
  #question;
  #answer;
  #scroll;

  constructor(question, answer, scroll) {
    this.#question = question;
    this.#answer = answer;
    this.#scroll = scroll;
  }

  asked(text, language) {
    this.#question.classList.remove("waiting");
    this.#question.textContent = text;
    if (language) this.#question.lang = language;
    if (language) this.#answer.lang = language;
    this.#scroll();
  }

  answered(delta) {
    this.#answer.classList.remove("waiting");
    this.#answer.append(delta);
    this.#scroll();
  }

  /** Takes it off the page, since it is asked again. */
  remove() {
    for (const line of [this.#question, this.#answer]) line.parentElement?.remove();
  }

  /** Nothing more will come; `why` says so where it came to a bad end. */
  close(why = "") {
    for (const line of [this.#question, this.#answer]) {
      if (line.classList.contains("waiting")) line.parentElement?.remove();
    }
    if (why && this.#answer.isConnected) this.#answer.dataset.ended = why;
  }
}

export class Log {
  #list;
  #box;

  constructor(box, list) {
    this.#box = box;
    this.#list = list;
    new ResizeObserver(() => this.#toEnd()).observe(box); // what appears below takes its room
  }

  /** A new exchange; a spoken question is not known yet. */
  begin() {
    const question = this.#line("user", "You");
    const answer = this.#line("face", "Face");
    return new Exchange(question, answer, () => this.#toEnd());
  }

  /** An exchange of the past, as the interface tells it. */
  add({ user_text: question, response_text: answer, language, is_shortened: isShortened }) {
    const exchange = this.begin();
    exchange.asked(question, language);
    exchange.answered(answer);
    exchange.close(isShortened ? REST_LOST : "");
  }

  clear() {
    this.#list.replaceChildren();
  }

  #line(who, name) {
    const line = document.createElement("li");
    const said = document.createElement("p");
    const label = document.createElement("span");
    line.className = who;
    label.className = "visually-hidden";
    label.textContent = `${name}: `;
    said.className = "waiting";
    line.append(label, said);
    this.#list.append(line);
    this.#toEnd();
    return said;
  }

  #toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }
}
