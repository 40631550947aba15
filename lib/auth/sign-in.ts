/** Signing in and out: the limiter before the password, the record after it. */
import { isPassword, readPassword } from "./password.mjs";
import { beginSession, endSession } from "./sessions";
import { LoginLimiter } from "./limiter";
import { record } from "./record";
import { cookieName, readCookie, sessionCookie } from "./cookie";

export type SignIn =
  | { ok: true; cookie: string }
  | { ok: false; status: 401 | 409 | 429; code: string; message: string; action: string; retryAfter?: number };

/** Each try takes 128 MiB and a core for half a second, so they go one by one, and few may wait. */
const mostWaiting = 4;

export class Door {
  private waiting = 0;
  private queue: Promise<unknown> = Promise.resolve();

  /** `clock` in milliseconds since 1970. */
  constructor(
    private readonly home: string,
    private readonly clock: () => number = Date.now,
    private readonly limiter = new LoginLimiter(() => performance.now()),
  ) {}

  /** Tries a password from an address. Throws AuthError if the stored password cannot be read. */
  async signIn(password: string, address: string, https: boolean): Promise<SignIn> {
    const stored = await readPassword(this.home);
    if (!stored) return { ok: false, status: 409, code: "no-password", message: "This server has no password.", action: "Set one on the server: npm run password" };
    const wait = this.waiting >= mostWaiting ? 1_000 : this.limiter.request(address);
    if (wait > 0) {
      await record(this.home, "too-many-tries", address, this.clock());
      const seconds = Math.ceil(wait / 1000);
      return { ok: false, status: 429, code: "too-many-tries", message: "Too many tries.", action: `Try again in ${seconds} s.`, retryAfter: seconds };
    }
    if (!(await this.inTurn(() => isPassword(stored, password)))) {
      await record(this.home, "wrong-password", address, this.clock());
      return { ok: false, status: 401, code: "wrong-password", message: "That is not the password.", action: "Try again." };
    }
    this.limiter.succeeded(address);
    const id = await beginSession(this.home, stored.id, this.clock());
    await record(this.home, "signed-in", address, this.clock());
    return { ok: true, cookie: sessionCookie(stored.id, id, https) };
  }

  /** Ends the session that a Cookie header names. Returns the Set-Cookie header that forgets it; null if there is no password. */
  async signOut(cookies: string | null, address: string, https: boolean): Promise<string | null> {
    const stored = await readPassword(this.home);
    if (!stored) return null;
    await endSession(this.home, readCookie(cookies, cookieName(stored.id)));
    await record(this.home, "signed-out", address, this.clock());
    return sessionCookie(stored.id, "", https);
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.waiting += 1;
    const turn = this.queue.then(work);
    this.queue = turn.catch(() => undefined);
    return turn.finally(() => (this.waiting -= 1));
  }
}
