// What state the page is in, in words for people and as data attributes for the stylesheet.

import { explain } from "./problems.js";
import { partName } from "./health.js";

const STATUS = {
  loading: "Getting ready",
  idle: "Ready when you are",
  opening: "Opening the microphone",
  recording: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  error: "",
};
const BUTTON = { recording: "Send", thinking: "Stop", speaking: "Stop" };
const ICON = { Talk: "#icon-microphone", Send: "#icon-send", Stop: "#icon-stop" };

const byId = (id) => document.getElementById(id);

class View {
  #body = document.body;
  #countdown = 0;

  get state() {
    return this.#body.dataset.state;
  }

  set state(state) {
    this.#body.dataset.state = state;
    const label = BUTTON[state] ?? "Talk";
    byId("main-label").textContent = label;
    byId("main-icon").setAttribute("href", ICON[label]);
    byId("main").setAttribute("aria-disabled", String(state === "loading" || state === "opening"));
    byId("typing").hidden = state === "recording";
    byId("recording").hidden = state !== "recording";
    if (state !== "thinking") byId("play").hidden = true;
    this.say(STATUS[state]);
  }

  /** The status line; a screen reader reads it out. */
  say(text) {
    if (byId("status").textContent !== text) byId("status").textContent = text;
  }

  /** A place in the queue, instead of the state; `time` is not read out. "" when it is over. */
  wait(place, time = "") {
    this.#body.toggleAttribute("data-waiting", Boolean(place));
    this.say(place || STATUS[this.state]);
    byId("wait").textContent = time;
  }

  /** Read out, not shown: it is on the page elsewhere. */
  announce(text) {
    byId("announcement").textContent = text;
  }

  elapsed(seconds) {
    const whole = Math.floor(seconds);
    byId("elapsed").textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }

  count(name, number) {
    this.#body.dataset[name] = String(number);
  }

  /** Shows a failure; `onRetry` where sending the same again may help. */
  showProblem(problem, onRetry = null) {
    const { title, advice, canRetry, retryAfterS } = explain(problem);
    byId("problem-title").textContent = title;
    byId("problem-advice").textContent = advice;
    byId("problem").dataset.code = problem.code;
    byId("problem").hidden = false;
    const retry = byId("retry");
    retry.hidden = !(canRetry && onRetry);
    retry.onclick = onRetry;
    this.#wait(retry, retryAfterS);
  }

  hideProblem() {
    clearInterval(this.#countdown);
    byId("problem").hidden = true;
  }

  #wait(button, seconds) {
    clearInterval(this.#countdown);
    let left = seconds;
    const show = () => {
      button.disabled = left > 0;
      button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    };
    const step = () => (left -= 1) > 0 || clearInterval(this.#countdown);
    show();
    if (left > 0) this.#countdown = setInterval(() => (step(), show()), 1000);
  }

  /** The browser refused to play sound unasked: one more click lets it. */
  offerPlay(onClick) {
    const play = byId("play");
    play.hidden = false;
    play.focus();
    play.onclick = () => {
      play.hidden = true;
      onClick();
    };
  }

  /** `server`: connecting, ready, degraded, loading, failed or gone. */
  showServer(server, text, deployments = {}) {
    this.#body.dataset.server = server;
    byId("server").textContent = text;
    const isUp = server === "ready" || server === "degraded";
    byId("curtain").hidden = isUp;
    byId("curtain-title").textContent = CURTAIN[server] ?? "";
    byId("parts").replaceChildren(...Object.entries(deployments).map(partLine));
  }

  note(id, text) {
    byId(id).hidden = !text;
    if (byId(id).textContent !== text) byId(id).textContent = text;
  }
}

const CURTAIN = {
  connecting: "Connecting",
  loading: "Waking up",
  failed: "A part could not start",
  gone: "The server cannot be reached. Trying again.",
  locked: "A key is needed",
};

function partLine([name, { status, detail }]) {
  const line = document.createElement("li");
  line.dataset.status = status;
  line.textContent = partName(name);
  line.append(element("span", status));
  if (status === "failed" && detail) line.append(element("small", detail));
  return line;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

export const view = new View();
