import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { until } from "./poll.ts";
import { makeWorkFolder, type WorkFolder } from "./work-folder.ts";

/** Path of Chromium as Debian's package has it, undefined where it is not installed. */
export function findChromium(): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // The next one, then.
      }
    }
  }
  return undefined;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

type Listener = (method: string, params: Record<string, unknown>) => void;

export interface Viewport {
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
}

/** A headless Chromium, spoken to by its DevTools protocol over a pipe: no port that others could find. */
export class Chromium {
  readonly #child: ChildProcess;
  readonly #profile: WorkFolder;
  readonly #write: Writable;
  readonly #waiting = new Map<
    number,
    { resolve: (result: Record<string, unknown>) => void; reject: (e: Error) => void }
  >();
  readonly #listeners = new Map<string, Listener>();
  #calls = 0;
  #unread = "";

  private constructor(child: ChildProcess, profile: WorkFolder) {
    this.#child = child;
    this.#profile = profile;
    this.#write = child.stdio[3] as Writable;
    // It may be gone before it has read all.
    this.#write.on("error", () => undefined);
    (child.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => this.#read(text));
    child.once("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("Chromium has ended"));
      this.#waiting.clear();
    });
  }

  static async launch(path: string): Promise<Chromium> {
    const profile = await makeWorkFolder("chromium");
    const child = spawn(
      path,
      [
        "--headless",
        "--remote-debugging-pipe",
        // Its sandbox does not work as root, and it shows nothing but our own page.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        `--user-data-dir=${profile.path}`,
        "about:blank",
      ],
      { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
    );
    return new Chromium(child, profile);
  }

  async open(url: string, viewport: Viewport): Promise<Page> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, String(sessionId));
    this.#listeners.set(String(sessionId), page.hear);
    for (const domain of ["Runtime", "Page", "Network", "Log", "Audits"]) await page.call(`${domain}.enable`);
    await page.resize(viewport);
    await page.call("Page.navigate", { url });
    return page;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.call("Browser.close").catch(() => undefined);
    await ended;
    await this.#profile.remove();
  }

  call(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null) throw new Error("Chromium has ended");
      this.#waiting.set(id, { resolve, reject });
      this.#write.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  #read(text: string): void {
    const messages = (this.#unread + text).split("\0");
    this.#unread = messages.pop() ?? "";
    for (const json of messages) {
      const { error, id, method, params = {}, result = {}, sessionId = "" } = JSON.parse(json) as Message;
      if (id === undefined) {
        this.#listeners.get(sessionId)?.(method ?? "", params);
        continue;
      }
      const call = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) call?.resolve(result);
      else call?.reject(new Error(error.message));
    }
  }
}

/** A tab, with all that went wrong in it and all that it asked for. */
export class Page {
  /** Errors and warnings of the page, of its policy and of the browser about it. */
  readonly problems: string[] = [];
  /** Every URL that something in the page asked for. */
  readonly requested: string[] = [];
  readonly #chromium: Chromium;
  readonly #sessionId: string;

  constructor(chromium: Chromium, sessionId: string) {
    this.#chromium = chromium;
    this.#sessionId = sessionId;
  }

  readonly hear: Listener = (method, params) => {
    const text = () => JSON.stringify(params).slice(0, 600);
    if (method === "Network.requestWillBeSent") this.requested.push((params.request as { url: string }).url);
    else if (method === "Runtime.exceptionThrown" || method === "Audits.issueAdded") this.problems.push(text());
    else if (method === "Runtime.consoleAPICalled" && params.type !== "log") this.problems.push(text());
    else if (method === "Log.entryAdded") this.problems.push(text());
  };

  call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.#chromium.call(method, params, this.#sessionId);
  }

  async resize({ width, height, dark = false }: Viewport): Promise<void> {
    await this.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await this.call("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
  }

  /** Has the page compute an expression, whose value must be JSON. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return (answer.result as { value: T }).value;
  }

  /** What a person would read there. */
  text(selector: string): Promise<string> {
    const found = `document.querySelector(${JSON.stringify(selector)})`;
    return this.evaluate<string>(`${found}?.checkVisibility() ? ${found}.innerText : ""`);
  }

  async untilText(selector: string, wanted: RegExp): Promise<string> {
    let last = "";
    try {
      return await until(`${wanted} in ${selector}`, async () => {
        last = await this.text(selector);
        return wanted.test(last) && last;
      });
    } catch (error) {
      throw new Error(`${String(error)}; it says: ${last.slice(0, 500)}; problems: ${this.problems.join("\n")}`);
    }
  }

  async press(key: string): Promise<void> {
    const text = key.length === 1 ? { text: key } : {};
    await this.call("Input.dispatchKeyEvent", { type: "keyDown", key, ...text });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", key });
  }

  /** A picture of the window, or of the whole page. */
  async screenshot(file: string, whole = false): Promise<void> {
    const { data } = await this.call("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole });
    await writeFile(file, Buffer.from(String(data), "base64"));
  }
}
