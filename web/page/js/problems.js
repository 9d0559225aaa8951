// Every failure as one kind of error, and what to say about it.

/** A failure the page can explain. `code` is the interface's, or one of the page's own. */
export class Problem extends Error {
  constructor(code, { detail = "", status = 0, retryAfterS = 0 } = {}) {
    super(detail || code);
    this.name = "Problem";
    this.code = code;
    this.detail = detail;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** The problem in an answer that is not ok; proxies answer without a problem object. */
export async function problemOf(response) {
  const retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  const body = await response.json().catch(() => ({}));
  const code = body.code ?? CODE_OF_STATUS[response.status] ?? "internal";
  return new Problem(code, { detail: body.detail, status: response.status, retryAfterS });
}

const CODE_OF_STATUS = {
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  413: "too_large",
  429: "rate_limited",
  502: "unreachable",
  503: "overloaded",
  504: "unreachable",
};

// code: [what happened, what to do, whether sending the same again may help]
const WORDS = {
  // the microphone
  microphone_refused: [
    "The microphone is blocked",
    "Allow it for this page in the browser's address bar, then try again. You can type meanwhile.",
  ],
  microphone_missing: ["No microphone was found", "Connect one and try again, or type instead."],
  microphone_busy: [
    "The microphone cannot be opened",
    "Another program may be using it. Close that one and try again, or type instead.",
  ],
  insecure_context: [
    "The browser keeps the microphone from this page",
    "Browsers give it only to https addresses and to localhost. Open the page at one of these " +
      "(TLS_CERT and TLS_KEY make this server speak https), or type instead.",
  ],
  recorder_missing: [
    "This browser cannot record sound",
    "A current Chrome, Edge, Firefox or Safari can. You can type meanwhile.",
  ],
  recorded_nothing: [
    "That was too short",
    "Press once to start, speak, and press again when you have finished.",
  ],
  camera_refused: [
    "The camera is blocked",
    "Allow it for this page in the browser's address bar, or choose a file.",
  ],
  camera_missing: ["No camera was found", "Connect one and try again, or choose a file."],
  camera_busy: [
    "The camera cannot be opened",
    "Another program may be using it. Close that one and try again, or choose a file.",
  ],
  // the connection
  unreachable: ["The server cannot be reached", "Check that it still runs, then try again.", true],
  cut: ["The answer broke off", "The connection ended before the whole answer was here.", true],
  cannot_play: ["This browser cannot play the answer", "It needs H.264 video and AAC sound."],
  // what the server says
  unauthorized: ["A key is needed", "Enter the key that the server's operator gave you."],
  forbidden: ["That is not allowed", "The key in use does not permit it."],
  no_speech: ["No speech was heard", "Speak a little louder or closer, and try again."],
  too_large: ["That was too long", "Ask in less than two minutes, or in fewer words."],
  too_long: ["That was too long", "Ask in less than two minutes, or in fewer words."],
  unsupported_media: ["The recording could not be read", "Try again, or type instead."],
  unsupported_language: ["That language is not spoken here", "Choose another, or type."],
  not_found: ["That is no longer there", "It may have expired, or was deleted.", true],
  rate_limited: ["Too many questions in a short time", "Wait a moment and try again.", true],
  overloaded: ["Many people are talking just now", "Wait a moment and try again.", true],
  loading: ["The models are still loading", "It takes a few seconds; then try again.", true],
  engine_failed: ["A part of the server failed", "Try again; if it stays, tell its operator.", true],
  disk_full: ["The server's disk is full", "Tell its operator."],
  internal: ["Something went wrong in the server", "Try again; if it stays, tell its operator.", true],
};

// Of what people add, as far as it differs; what exactly to do about a sample, the server says.
const WORDS_OF_SAMPLES = {
  microphone_refused: [
    "The microphone is blocked",
    "Allow it for this page in the browser's address bar, or choose a file.",
  ],
  microphone_missing: ["No microphone was found", "Connect one and try again, or choose a file."],
  microphone_busy: [
    "The microphone cannot be opened",
    "Another program may be using it. Close that one and try again, or choose a file.",
  ],
  insecure_context: [
    "The browser keeps microphone and camera from this page",
    "Browsers give them only to https addresses and to localhost. Choose a file instead.",
  ],
  recorder_missing: ["This browser cannot record sound", "Choose a file instead."],
  recorded_nothing: ["That was too short", "Press once to start and again when you have read it."],
  sample_missing: ["Something is missing", "Record or choose a file first."],
  no_speech: ["Nobody speaks in this sample", "Record 6 to 30 seconds of speech."],
  too_short: ["The sample is too short", "Record 6 to 30 seconds of speech."],
  too_long: ["The sample is too long", "Record 6 to 30 seconds of speech."],
  too_noisy: ["There is too much noise", "Record in a quiet room, close to the microphone."],
  clipped: ["The sample is distorted", "Record again, farther from the microphone or not so loud."],
  no_face: ["This picture will not do", "Choose a picture with one face, seen from the front."],
  many_faces: ["This picture will not do", "Choose a picture of one person."],
  too_small: ["This picture will not do", "Come closer, or choose a larger picture."],
  too_large: ["The file is too large", "Choose a smaller one."],
  unsupported_media: ["The file could not be read", "Choose another one, or record it here."],
  consent_required: ["Consent is missing", "Tick the box if you agree."],
  invalid_value: ["That will not do yet", "Check the name and the sample."],
  not_supported: ["This server cannot do that", "Its operator can choose a profile that can."],
  forbidden: ["That may not be deleted", "It is built in, or belongs to somebody else."],
};
const UNKNOWN = ["That did not work", "Try again; if it stays, tell the server's operator.", true];

// For these the server knows better than the page what to do.
const SERVER_KNOWS = new Set([
  "unsupported_language",
  "invalid_value",
  "bad_request",
  "not_supported",
  "not_found",
]);

/** A server's words as a sentence of the page. */
export function asSentence(text = "") {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$|^$/.test(begun) ? begun : `${begun}.`;
}

function whenThereIsRoom(code, seconds) {
  if (code !== "overloaded" || !seconds) return "";
  return `There should be room in about ${seconds} s. You can ask again then.`;
}

/** The same of a voice or a picture that was to be added. */
export function explainSample(problem) {
  const words = WORDS_OF_SAMPLES[problem.code];
  if (!words) return explain(problem);
  const [title, ours] = words;
  return { title, advice: asSentence(problem.detail) || ours, canRetry: false, retryAfterS: 0 };
}

/** Words for a person: {title, advice, canRetry, retryAfterS}. */
export function explain(problem) {
  const [title, ours, canRetry = false] = WORDS[problem.code] ?? UNKNOWN;
  const useTheirs = SERVER_KNOWS.has(problem.code) || !(problem.code in WORDS);
  const retryAfterS = Math.ceil(problem.retryAfterS ?? 0);
  const theirs = useTheirs ? asSentence(problem.detail) : "";
  const advice = theirs || whenThereIsRoom(problem.code, retryAfterS) || ours;
  return { title, advice, canRetry, retryAfterS };
}
