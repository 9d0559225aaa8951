// Two films on top of each other: the idle face below, the reply above. One shows through while the
// other changes, so that nothing flashes; both begin and end at rest, so that nothing jumps.

const FADE_MS = 120; // as in style.css
const NO_MOTION = matchMedia("(prefers-reduced-motion: reduce)");

export class Face {
  #stage;
  #idle;
  #urls = [];
  #shown = "";
  #pause = 0;

  constructor(stage, idle) {
    this.#stage = stage;
    this.#idle = idle;
    NO_MOTION.addEventListener("change", () => this.#breathe());
  }

  /** Shows another avatar's silent face. */
  async show(avatar, api) {
    this.#shown = avatar.id;
    const [poster, film] = await Promise.all(
      [avatar.thumbnail_url, avatar.idle_url].map((url) => orNothing(url, api)),
    );
    if (this.#shown !== avatar.id) return; // another was chosen meanwhile
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#urls = [poster, film].filter(Boolean);
    this.#idle.poster = poster;
    this.#idle.src = film;
    if (film) this.#breathe();
  }

  /** The reply's first picture is there: let it show. */
  speak() {
    this.#stage.dataset.face = "speaking";
    // The idle film waits at its first picture, so it is there the moment the reply goes.
    this.#pause = setTimeout(() => {
      this.#idle.pause();
      this.#idle.currentTime = 0;
    }, 2 * FADE_MS);
  }

  /** The reply is over, or was stopped. */
  rest() {
    clearTimeout(this.#pause);
    this.#breathe();
    this.#stage.dataset.face = "idle";
  }

  #breathe() {
    if (NO_MOTION.matches) this.#idle.pause();
    else this.#idle.play().catch(() => {}); // muted, so at worst a power saver keeps it still
  }
}

/** A face that does not breathe, or one that shows only when it speaks, is still a face. */
async function orNothing(url, api) {
  try {
    return url ? await api.objectUrl(url) : "";
  } catch (problem) {
    if (problem.code === "unauthorized") throw problem;
    return "";
  }
}
