// One question and its answer, as events.

import { Problem } from "./problems.js";
import { readEvents } from "./sse.js";
import { tab } from "./tab.js";

/**
 * Asks, and hands what comes to `on`: queue({position, predicted_wait_s}), transcript({text,
 * language}), reply(text), video(bytes, mime). Returns the `done` object. Aborting `signal` stops
 * the server too.
 */
export async function ask(api, question, on, signal) {
  const response = await open(api, question, signal);
  const session = response.headers.get("X-Session-Id");
  const isNew = session && session !== tab.session;
  if (session) tab.session = session; // known even if the turn is stopped
  let nFragments = 0;
  for await (const { name, data } of readEvents(response.body)) {
    const event = JSON.parse(data);
    if (name === "video" && event.index !== nFragments++) throw new Problem("cut");
    if (name === "error") {
      if (isNew) tab.session = ""; // a turn that failed makes no session
      throw refusalOf(event);
    }
    if (name === "done") return remember(event);
    hand(name, event, on);
  }
  throw new Problem("cut");
}

/** Where it was too late for headers, the problem itself says when to come back. */
function refusalOf({ code, detail, status, retry_after_s: retryAfterS }) {
  return new Problem(code, { detail, status, retryAfterS });
}

function hand(name, event, on) {
  if (name === "queue") on.queue(event);
  else if (name === "transcript") on.transcript(event);
  else if (name === "reply") on.reply(event.text);
  else if (name === "video") on.video(bytesOf(event.data), event.mime);
}

/** A session that has expired is forgotten, and the question starts a new one. */
async function open(api, question, signal) {
  const { session } = tab;
  const send = () => api.stream("conversation/stream", formOf(question), signal);
  try {
    return await send();
  } catch (problem) {
    if (problem.code !== "not_found" || !session) throw problem;
  }
  tab.session = "";
  return send().catch((problem) => {
    if (problem.code === "not_found") tab.session = session; // it was a voice or a face, then
    throw problem;
  });
}

function formOf({ audio, text, language, avatar, voice }) {
  const form = new FormData();
  if (audio) form.set("audio", audio, "question");
  else form.set("text", text);
  const others = { language, avatar, voice, session_id: tab.session };
  for (const [name, value] of Object.entries(others)) if (value) form.set(name, value);
  return form;
}

function remember(done) {
  if (done.session_id) tab.session = done.session_id;
  return done;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
