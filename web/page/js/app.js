// Puts the page together.

import { Api } from "./api.js";
import { brainWords } from "./brain.js";
import { Conversation } from "./conversation.js";
import { showExamples } from "./examples.js";
import { Face } from "./face.js";
import { HealthWatch, summary, troubles } from "./health.js";
import { listenToKeys } from "./keyboard.js";
import { Log } from "./log.js";
import { Meter } from "./meter.js";
import { OwnDialog } from "./own.js";
import { hearingNote, isHeard, Pickers } from "./pickers.js";
import { PortraitSample } from "./portrait_sample.js";
import { explain } from "./problems.js";
import { tab } from "./tab.js";
import { Timeline } from "./timeline.js";
import { view } from "./view.js";
import { VoiceSample } from "./voice_sample.js";

const byId = (id) => document.getElementById(id);

const api = new Api(tab);
const face = new Face(byId("stage"), byId("idle"));
const log = new Log(byId("log"), byId("exchanges"));
const timeline = new Timeline(byId("timeline"));
let deployments = {};
let spoke = "";
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
  onDone: showBrain,
  onMissing: () => fillPickers().catch(showFailure),
});

const voiceSample = new VoiceSample(byId("voices").querySelector("[data-sample]"));

const voices = new OwnDialog(byId("voices"), byId("own-voices"), {
  api,
  kind: { path: "voices", plural: "voices", working: "The server listens to it", pictures: () => [] },
  sample: voiceSample,
  on: { opening: openVoices, added: (voice) => choose("voice", voice), deleted: fillPickers },
});

const faces = new OwnDialog(byId("faces"), byId("own-faces"), {
  api,
  kind: { path: "avatars", plural: "faces", working: "The server looks at it", pictures: thumbnails },
  sample: new PortraitSample(byId("faces").querySelector("[data-sample]")),
  on: { opening: openOwn, added: (avatar) => choose("face", avatar), deleted: fillPickers },
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
  view.note("health-note", troubles(health));
  showBrain();
  voices.offer(deployments.tts?.uploads);
  faces.offer(deployments.avatar?.uploads);
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
  await fillPickers();
  await restore();
  byId("key-form").hidden = true;
  isFilled = true;
}

async function fillPickers() {
  const [all, avatars] = await Promise.all([api.json("voices"), api.json("avatars")]);
  voices.list(all);
  faces.list(avatars);
  await pickers.fill(all, avatars);
}

/** What was added is what one wants to hear and see next. */
async function choose(noun, item) {
  await fillPickers();
  if (noun === "voice") pickers.chooseVoice(item);
  else pickers.chooseAvatar(item);
  view.say(`${item.name} was added and is chosen`);
}

/** A face that speaks would be heard in the sample, and others may have added or deleted some. */
async function openOwn() {
  leave();
  await Promise.all([watch.check(), fillPickers()]);
}

function openVoices() {
  const [usual] = navigator.language.split("-");
  voiceSample.offerTexts(deployments.tts?.languages ?? [], pickers.language || usual);
  return openOwn();
}

function thumbnails({ thumbnail_url: url }) {
  const picture = new Image();
  picture.alt = "";
  api.objectUrl(url).then((local) => (picture.src = local), () => picture.remove());
  return [picture];
}

/** After a reload of the tab: what was said before, as long as the server keeps it. */
async function restore() {
  if (!tab.session) return;
  try {
    const { turns } = await api.json(`sessions/${tab.session}`);
    turns.forEach((turn) => log.add(turn));
    if (turns.length) showBrain(turns.at(-1));
  } catch (problem) {
    if (problem.code !== "not_found") throw problem;
    tab.session = "";
  }
}

/** Of the last answer, where one is given. */
function showBrain({ engines } = { engines: { llm: spoke } }) {
  spoke = engines?.llm ?? "";
  view.note("brain-note", brainWords(deployments.llm?.engine, spoke));
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
  showBrain({ engines: {} });
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
