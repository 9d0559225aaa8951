// What this tab remembers until it is closed: the session and the key, never what was said.

class Remembered {
  #name;

  constructor(name) {
    this.#name = `realtime-avatar.${name}`;
  }

  get() {
    return sessionStorage.getItem(this.#name) ?? "";
  }

  set(value) {
    if (value) sessionStorage.setItem(this.#name, value);
    else sessionStorage.removeItem(this.#name);
  }
}

const session = new Remembered("session");
const key = new Remembered("key");

export const tab = {
  get session() {
    return session.get();
  },
  set session(id) {
    session.set(id);
  },
  get key() {
    return key.get();
  },
  set key(value) {
    key.set(value);
  },
};
