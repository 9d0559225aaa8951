// Language, voice and avatar, filled with what this server can do.

const USUAL_LANGUAGES = ["en", "zh", "es"];
const names = new Intl.DisplayNames(["en"], { type: "language" });

export function languageName(tag) {
  return names.of(tag) ?? tag;
}

/** What to know about speaking in `language` to an ASR that hears `heard`, or "". */
export function hearingNote(language, asr) {
  const heard = asr?.languages ?? [];
  if (heard.length === 0) return "";
  const list = heard.map(languageName).join(", ");
  if (!language && heard.length === 1) {
    return `No language chosen: speech is taken as ${list}.`;
  }
  if (!language || heard.includes(language)) return "";
  return `Spoken ${languageName(language)} is not understood here (only ${list} is). Type instead.`;
}

/** Whether the ASR understands `language`; "" leaves the choice to it. */
export function isHeard(language, asr) {
  const heard = asr?.languages ?? [];
  return !language || heard.length === 0 || heard.includes(language);
}

export class Pickers {
  #language;
  #voice;
  #avatar;
  #voices = [];
  #avatars = [];
  #onAvatar;

  /** `onLanguage()` is told of every choice, `onAvatar(avatar)` of every other face, chosen or not. */
  constructor({ language, voice, avatar }, { onLanguage, onAvatar }) {
    this.#language = language;
    this.#voice = voice;
    this.#avatar = avatar;
    this.#onAvatar = onAvatar;
    language.addEventListener("change", () => (this.#fillVoices(), onLanguage()));
    avatar.addEventListener("change", () => onAvatar(this.chosenAvatar));
  }

  /** Keeps what is chosen, where it is still there; resolves when the chosen face is to be seen. */
  async fill(voices, avatars) {
    const before = this.chosenAvatar?.id;
    this.#voices = voices;
    this.#avatars = avatars;
    const spoken = [...new Set(voices.flatMap((voice) => voice.languages))];
    const tags = spoken.length ? spoken : USUAL_LANGUAGES;
    options(this.#language, [["", "Automatic"], ...tags.map((tag) => [tag, languageName(tag)])]);
    options(this.#avatar, avatars.map((avatar) => [avatar.id, avatar.name]));
    this.#fillVoices();
    if (this.chosenAvatar && this.chosenAvatar.id !== before) await this.#onAvatar(this.chosenAvatar);
  }

  chooseVoice({ id, languages }) {
    if (this.language && !languages.includes(this.language)) {
      this.#language.value = "";
      this.#language.dispatchEvent(new Event("change"));
    }
    this.#voice.value = id;
  }

  chooseAvatar({ id }) {
    this.#avatar.value = id;
    this.#onAvatar(this.chosenAvatar);
  }

  get language() {
    return this.#language.value;
  }

  get chosenAvatar() {
    return this.#avatars.find((avatar) => avatar.id === this.#avatar.value) ?? null;
  }

  /** The choices as fields of a question; what is left to the server is "". */
  get chosen() {
    return {
      language: this.language,
      voice: this.#voice.value,
      avatar: this.#avatar.value,
    };
  }

  /** Only voices that speak the language; without a language the server picks one that does. */
  #fillVoices() {
    const speaks = (voice) => !this.language || voice.languages.includes(this.language);
    const fitting = this.#voices.filter(speaks).map((voice) => [voice.id, voice.name]);
    options(this.#voice, [["", "Automatic"], ...fitting]);
  }
}

/** Fills a select, keeping its choice where that is still there. */
function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
  if (pairs.some(([value]) => value === before)) select.value = before;
  select.disabled = pairs.length < 2;
}
