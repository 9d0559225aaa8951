// Puts the page together.

import { Api } from "./api.js";
import { Conversation } from "./conversation.js";
import { showExamples } from "./examples.js";
import { Face } from "./face.js";
import { HealthWatch, summary } from "./health.js";
import { listenToKeys } from "./keyboard.js";
import { Log } from "./log.js";
import { Meter } from "./meter.js";
import { hearingNote, isHeard, Pickers } from "./pickers.js";
import { explain } from "./problems.js";
import { tab } from "./tab.js";
import { Timeline } from "./timeline.js";
import { view } from "./view.js";

const byId = (id) => document.getElementById(id);

const api = new Api(tab);
const face = new Face(byId("stage"), byId("idle"));
const log = new Log(byId("log"), byId("exchanges"));
const timeline = new Timeline(byId("timeline"));
let deployments = {};
let isFilled = false;

const pickers = new Pickers(
  { language: byId("language"), voice: byId("voice"), avatar: byId("avatar") },
  { onLanguage: showLanguage, onAvatar: (avatar) => face.show(avatar, api).catch(showFailure) },
);

const conversation = new Conversation({
  api,
  view,
  face,
  log,
  timeline,
  meter: new Meter(byId("meter")),
  video: byId("reply"),
  choices: () => pickers.chosen,
  restingState,
  onDone: ({ engines }) => engines && showBrain(engines.llm),
});

const watch = new HealthWatch(api, { health: showHealth, gone: showGone });

function isUp() {
  return ["ready", "degraded"].includes(document.body.dataset.server);
}

function restingState() {
  if (isUp()) return "idle";
  return document.body.dataset.server === "gone" ? "error" : "loading";
}

/** A change at the server shows at once, unless a turn is under way or a failure is to be read. */
function settle() {
  const isFree = ["loading", "idle"].includes(view.state);
  const isReadingProblem = !byId("problem").hidden;
  if ((isFree || view.state === "error") && !isReadingProblem) view.state = restingState();
}

async function showHealth(health) {
  deployments = health.deployments;
  const hasFailed = Object.values(deployments).some(({ status }) => status === "failed");
  const isReady = health.status !== "loading";
  if (isReady && !isFilled) await fill();
  const server = !isReady && hasFailed ? "failed" : health.status;
  view.showServer(server, summary(health), deployments);
  showBrain(deployments.llm?.engine);
  showLanguage();
  settle();
}

function showGone(problem) {
  if (problem.code === "unauthorized") {
    byId("key-form").hidden = false;
    view.showServer("locked", "A key is needed");
  } else if (problem.code === "unreachable") {
    view.showServer("gone", "No connection");
  } else {
    view.showServer("failed", explain(problem).title);
  }
  settle();
}

async function fill() {
  const [voices, avatars] = await Promise.all([api.json("voices"), api.json("avatars")]);
  pickers.fill(voices, avatars);
  if (pickers.chosenAvatar) await face.show(pickers.chosenAvatar, api);
  await restore();
  byId("key-form").hidden = true;
  isFilled = true;
}

/** After a reload of the tab: what was said before, as long as the server keeps it. */
async function restore() {
  if (!tab.session) return;
  try {
    const { turns } = await api.json(`sessions/${tab.session}`);
    turns.forEach((turn) => log.add(turn));
  } catch (problem) {
    if (problem.code !== "not_found") throw problem;
    tab.session = "";
  }
}

function showBrain(engine) {
  const isDemo = engine === "rules";
  view.note(
    "brain-note",
    isDemo ? "Demo brain (engine: rules), not a language model." : "",
  );
}

function showLanguage() {
  view.note("hearing-note", hearingNote(pickers.language, deployments.asr));
  showExamples(byId("examples"), pickers.language, (text) => askInWords(text));
}

function showFailure(problem) {
  view.showProblem(problem);
}

/** Talking in a language that nobody here understands would only waste the speaker's breath. */
function act() {
  const isAboutToTalk = ["idle", "error"].includes(view.state);
  if (isAboutToTalk && !isHeard(pickers.language, deployments.asr)) {
    view.say(hearingNote(pickers.language, deployments.asr));
    return byId("words").focus();
  }
  return conversation.act();
}

function askInWords(text) {
  if (text && isUp() && view.state !== "recording") conversation.ask({ text });
}

function leave() {
  if (view.state === "recording") return conversation.discard();
  conversation.stop();
  dismiss();
}

function dismiss() {
  view.hideProblem();
  settle();
}

async function startOver() {
  leave();
  const session = tab.session;
  tab.session = "";
  log.clear();
  timeline.hide();
  view.announce("A new conversation has begun");
  if (session) await api.erase(`sessions/${session}`).catch(() => {}); // expires by itself then
}

byId("main").addEventListener("click", act);
byId("discard").addEventListener("click", () => conversation.discard());
byId("dismiss").addEventListener("click", dismiss);
byId("start-over").addEventListener("click", startOver);
byId("settings-toggle").addEventListener("click", (event) => {
  const isOpen = byId("settings").classList.toggle("open");
  event.currentTarget.setAttribute("aria-expanded", String(isOpen));
});
byId("typing").addEventListener("submit", (event) => {
  event.preventDefault();
  askInWords(byId("words").value.trim());
  if (isUp()) byId("words").value = "";
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  tab.key = byId("key").value.trim();
  watch.check();
});
listenToKeys({ act, leave });
watch.check();
