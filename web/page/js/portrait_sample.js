// A picture of a face: taken with the camera, or out of a file.

import { Problem } from "./problems.js";
import { Sample } from "./sample.js";

const WANTED = { video: { facingMode: "user", width: { ideal: 1920 }, height: { ideal: 1080 } } };
const QUALITY = 0.95;
const LABELS = { opening: "Opening", live: "Take the picture", ready: "Take another" };
const CODE_OF_ERROR = {
  NotAllowedError: "camera_refused",
  SecurityError: "camera_refused",
  NotFoundError: "camera_missing",
  OverconstrainedError: "camera_missing",
};

export class PortraitSample extends Sample {
  #stream = null;

  constructor(box) {
    super(box, "image");
    this.parts.shoot.addEventListener("click", () => this.attempt(() => this.#act()));
    this.reset();
  }

  set step(step) {
    super.step = step;
    this.parts.shootLabel.textContent = LABELS[step] ?? "Use the camera";
  }

  get step() {
    return super.step;
  }

  reset() {
    this.#closeCamera();
    URL.revokeObjectURL(this.parts.picture.src);
    this.parts.picture.removeAttribute("src");
    super.reset();
  }

  async choose(file) {
    await this.#show(file, file.name);
    this.keep(file);
  }

  async #act() {
    if (this.#stream) return this.#take();
    if (this.step !== "opening") return this.#open();
  }

  async #open() {
    this.reset();
    this.#stream = await this.opened(openCamera(), stopTracks);
    if (!this.#stream) return;
    const { camera } = this.parts;
    camera.srcObject = this.#stream;
    this.step = "live";
    await camera.play();
    this.onSaid("The camera is on. Look straight into it.");
  }

  async #take() {
    this.parts.camera.pause(); // it shows what was taken until that is there
    const picture = await pictureOf(this.parts.camera);
    await this.#show(picture, "The picture you took");
    this.#closeCamera();
    this.keep(picture);
  }

  #closeCamera() {
    stopTracks(this.#stream);
    this.#stream = null;
    this.parts.camera.srcObject = null;
  }

  /** Shows it. Throws `unsupported_media` where that cannot be done. */
  async #show(blob, what) {
    const { picture } = this.parts;
    picture.src = URL.createObjectURL(blob);
    picture.alt = what;
    await picture.decode().catch(() => Promise.reject(new Problem("unsupported_media")));
    this.onSaid(`${what} is chosen.`);
  }
}

async function openCamera() {
  if (!window.isSecureContext) throw new Problem("insecure_context");
  if (!navigator.mediaDevices?.getUserMedia) throw new Problem("camera_missing");
  try {
    return await navigator.mediaDevices.getUserMedia(WANTED);
  } catch (error) {
    throw new Problem(CODE_OF_ERROR[error.name] ?? "camera_busy");
  }
}

function stopTracks(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** What the camera shows now; not mirrored, as others see it. */
function pictureOf(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
