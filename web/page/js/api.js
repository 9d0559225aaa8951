// All requests go through here: the key, and failures as Problems.

import { Problem, problemOf } from "./problems.js";

const VERSION_1 = "api/v1/";

export class Api {
  #keyring;

  /** `keyring.key` is sent where it is not empty. */
  constructor(keyring) {
    this.#keyring = keyring;
  }

  /** The answer, when it is ok. An abort passes through as AbortError. */
  async fetch(path, init = {}) {
    const response = await this.#send(path, init);
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  async json(path) {
    return (await this.fetch(VERSION_1 + path)).json();
  }

  /** Posts a form to an endpoint that answers in events. */
  async stream(path, form, signal) {
    const headers = { Accept: "text/event-stream" };
    return this.fetch(VERSION_1 + path, { method: "POST", body: form, headers, signal });
  }

  async erase(path) {
    return this.fetch(VERSION_1 + path, { method: "DELETE", keepalive: true });
  }

  /**
   * Posts a form and resolves with the JSON of the answer. `onProgress` is told what share of the
   * form has left; a fetch could not tell, hence XMLHttpRequest.
   */
  upload(path, form, { signal, onProgress }) {
    const request = new XMLHttpRequest();
    request.open("POST", new URL(VERSION_1 + path, document.baseURI));
    if (this.#keyring.key) request.setRequestHeader("Authorization", `Bearer ${this.#keyring.key}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    signal.addEventListener("abort", () => request.abort());
    return new Promise((resolve, reject) => {
      request.onload = () => answerOf(request).then(resolve, reject);
      request.onerror = () => reject(new Problem("unreachable"));
      request.onabort = () => reject(signal.reason);
      request.send(form);
    });
  }

  /** What /health says; 503 is an answer too, as long as it tells what is loading. */
  async health() {
    const response = await this.#send("health", { cache: "no-store" });
    const body = await response.clone().json().catch(() => null);
    if (body?.deployments) return body;
    throw await problemOf(response);
  }

  /** A local address of a picture or film, since <video src> could not send the key. */
  async objectUrl(url) {
    return URL.createObjectURL(await (await this.fetch(url)).blob());
  }

  async #send(path, init) {
    const headers = new Headers(init.headers);
    if (this.#keyring.key) headers.set("Authorization", `Bearer ${this.#keyring.key}`);
    try {
      return await fetch(new URL(path, document.baseURI), { ...init, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("unreachable");
    }
  }
}

async function answerOf(request) {
  const retryAfter = request.getResponseHeader("Retry-After") ?? "";
  const init = { status: request.status, headers: { "Retry-After": retryAfter } };
  const response = new Response(request.responseText, init);
  if (!response.ok) throw await problemOf(response);
  return response.json();
}
