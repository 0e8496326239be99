/**
 * The user's session: Cognito's managed login with an authorization code and PKCE.
 *
 * Tokens are kept only in this page's memory. After a reload, Cognito's cookie provides a new code without asking for
 * the password. If a session ends while the page is open, the page stays as it is. The user signs in in another window,
 * which passes its tokens to this one, and the requests that were waiting for a token continue.
 */
import { InMemoryWebStorage, User, UserManager, WebStorageStateStore } from "oidc-client-ts";
import { makeSignal } from "./signal";

/** The response of `GET /config.json`. */
export interface Configuration {
  issuer: string;
  loginUrl: string;
  clientId: string;
  region: string;
}

/** The path to return to after signing in, and whether this window only passes its tokens to another one. */
interface Way {
  path: string;
  handOver: boolean;
}

export type SessionState = "signed-in" | "expired" | "signed-out";

/** A token with less time left than this is renewed before it's used, in seconds. */
const TOO_SHORT = 30;
const CHANNEL = "stagedb-session";
/** The address where another window signs in to pass its tokens to this one. */
export const SIGN_IN_AGAIN = "/?sign-in-again";

export class Session {
  readonly configuration: Configuration;
  /** Fires when there are new tokens, which can have other roles. */
  readonly renewed = makeSignal();
  readonly #manager: UserManager;
  readonly #channel = new BroadcastChannel(CHANNEL);
  readonly #listeners = new Set<() => void>();
  #user: User | null = null;
  #state: SessionState = "signed-out";
  #renewal: Promise<boolean> | null = null;
  #waiting: (() => void)[] = [];

  private constructor(configuration: Configuration) {
    this.configuration = configuration;
    const { issuer, loginUrl, clientId } = configuration;
    this.#manager = new UserManager({
      authority: issuer,
      // Set here, so the page doesn't have to wait for OpenID Connect discovery.
      metadata: {
        issuer,
        authorization_endpoint: `${loginUrl}/oauth2/authorize`,
        token_endpoint: `${loginUrl}/oauth2/token`,
      },
      client_id: clientId,
      redirect_uri: `${location.origin}/`,
      scope: "openid email aws.cognito.signin.user.admin",
      userStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
      // Only what a sign-in in progress needs: the state and the PKCE verifier, never a token.
      stateStore: new WebStorageStateStore({ store: sessionStorage }),
      automaticSilentRenew: false,
      loadUserInfo: false,
      monitorSession: false,
    });
    this.#channel.onmessage = (message: MessageEvent<string>) => {
      if (this.#state === "expired") void this.#begin(User.fromStorageString(message.data));
    };
  }

  /** Signs in. Never resolves if the browser goes to the login page, or if this window only passes on its tokens. */
  static async start(): Promise<Session> {
    const answer = await fetch("/config.json");
    if (!answer.ok) throw new Error(`Couldn't load the page's configuration (HTTP status ${String(answer.status)}).`);
    const session = new Session((await answer.json()) as Configuration);
    const way = await session.#signIn();
    if (way === null) return new Promise(() => undefined);
    history.replaceState(null, "", way);
    return session;
  }

  /** Returns the path to show, or null if this window has nothing to show. */
  async #signIn(): Promise<string | null> {
    const query = new URLSearchParams(location.search);
    if (location.pathname === "/" && query.has("state") && (query.has("code") || query.has("error"))) {
      // A bookmarked or shared address contains an old code. In that case, sign in again and show the front page.
      const user = await this.#manager.signinCallback().catch(() => undefined);
      const way = user?.state as Way | undefined;
      if (user && way) {
        await this.#begin(user);
        if (!way.handOver) return way.path;
        this.#channel.postMessage(user.toStorageString());
        document.title = "Signed in";
        document.body.textContent = "You're signed in. You can close this window and return to the page you were on.";
        window.close();
        return null;
      }
      if (query.has("error")) throw new Error(`Sign-in failed: ${query.get("error_description") ?? query.get("error") ?? ""}.`);
      await this.#leaveForLogin({ path: "/", handOver: false });
      return null;
    }
    const handOver = location.pathname + location.search === SIGN_IN_AGAIN;
    await this.#leaveForLogin({ path: location.pathname + location.search + location.hash, handOver });
    return null;
  }

  async #leaveForLogin(way: Way): Promise<void> {
    await this.#manager.signinRedirect({ state: way, redirectMethod: "replace" });
  }

  async #begin(user: User): Promise<void> {
    this.#user = user;
    await this.#manager.storeUser(user);
    this.#become("signed-in");
    this.renewed.fire();
    for (const go of this.#waiting.splice(0)) go();
  }

  #become(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  /** For React's useSyncExternalStore. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly state = (): SessionState => this.#state;

  /** The email address of the signed-in user. */
  get name(): string {
    return this.#user?.profile.email ?? "";
  }

  /** Returns an access token that's valid for a while. Waits for the user to sign in if there's none. */
  async token(): Promise<string> {
    for (;;) {
      const user = this.#user;
      if (user && (user.expires_in ?? 0) > TOO_SHORT) return user.access_token;
      if (!(await this.#renew())) await this.expire();
    }
  }

  /** The API rejected this token: renews it, or waits for the user to sign in. */
  async refused(token: string): Promise<void> {
    if (this.#user?.access_token !== token) return;
    if (!(await this.#renew())) await this.expire();
  }

  /** Marks the session as expired. Resolves when the user has signed in again. */
  expire(): Promise<void> {
    const signedIn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#state !== "expired") this.#become("expired");
    return signedIn;
  }

  /** Renews the session with the refresh token. Concurrent callers share one renewal. */
  #renew(): Promise<boolean> {
    this.#renewal ??= this.#renewNow().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #renewNow(): Promise<boolean> {
    if (!this.#user?.refresh_token) return false;
    try {
      const user = await this.#manager.signinSilent();
      if (!user) return false;
      await this.#begin(user);
      return true;
    } catch {
      return false;
    }
  }

  /** Signs out of this page and of Cognito. */
  signOut(): void {
    const { loginUrl, clientId } = this.configuration;
    this.#user = null;
    void this.#manager.removeUser();
    const back = new URLSearchParams({ client_id: clientId, logout_uri: `${location.origin}/` });
    location.assign(`${loginUrl}/logout?${back.toString()}`);
  }
}
