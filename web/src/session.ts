/**
 * Who uses the page: Cognito's managed login with an authorization code and PKCE.
 *
 * Tokens live in this page's memory and nowhere else. After a reload Cognito's own cookie gives a new code without a
 * question. When a session ends while the page is open, the page stays as it is: one signs in in another window, which
 * hands its tokens over, and whatever waited for a token goes on.
 */
import { InMemoryWebStorage, User, UserManager, WebStorageStateStore } from "oidc-client-ts";

/** What `GET /config.json` says. */
export interface Configuration {
  issuer: string;
  loginUrl: string;
  clientId: string;
  region: string;
}

/** Where to come back to, and whether only to hand the tokens over. */
interface Way {
  path: string;
  handOver: boolean;
}

export type SessionState = "signed-in" | "expired" | "signed-out";

/** Seconds before its end from which a token is renewed instead of used. */
const TOO_SHORT = 30;
const CHANNEL = "stagedb-session";
/** The address that another window signs in at, to hand its tokens over. */
export const SIGN_IN_AGAIN = "/?sign-in-again";

export class Session {
  readonly configuration: Configuration;
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
      // Said here, so that no discovery has to be waited for.
      metadata: {
        issuer,
        authorization_endpoint: `${loginUrl}/oauth2/authorize`,
        token_endpoint: `${loginUrl}/oauth2/token`,
      },
      client_id: clientId,
      redirect_uri: `${location.origin}/`,
      scope: "openid email aws.cognito.signin.user.admin",
      userStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
      // Only what a sign-in that is under way needs: the state and PKCE's verifier, never a token.
      stateStore: new WebStorageStateStore({ store: sessionStorage }),
      automaticSilentRenew: false,
      loadUserInfo: false,
      monitorSession: false,
    });
    this.#channel.onmessage = (message: MessageEvent<string>) => {
      if (this.#state === "expired") void this.#begin(User.fromStorageString(message.data));
    };
  }

  /** Signs in. Never resolves when the browser leaves for the login, or when this window only hands tokens over. */
  static async start(): Promise<Session> {
    const answer = await fetch("/config.json");
    if (!answer.ok) throw new Error(`The page's configuration cannot be read: status ${String(answer.status)}.`);
    const session = new Session((await answer.json()) as Configuration);
    const way = await session.#signIn();
    if (way === null) return new Promise(() => undefined);
    history.replaceState(null, "", way);
    return session;
  }

  /** The path to show, or null if there is nothing to show here. */
  async #signIn(): Promise<string | null> {
    const query = new URLSearchParams(location.search);
    if (location.pathname === "/" && query.has("state") && (query.has("code") || query.has("error"))) {
      // An address that was kept or sent around is an old code: sign in from the start, to the front page.
      const user = await this.#manager.signinCallback().catch(() => undefined);
      const way = user?.state as Way | undefined;
      if (user && way) {
        await this.#begin(user);
        if (!way.handOver) return way.path;
        this.#channel.postMessage(user.toStorageString());
        document.title = "Signed in";
        document.body.textContent = "You are signed in again. You can close this window and go on where you were.";
        window.close();
        return null;
      }
      if (query.has("error")) throw new Error(`The sign-in failed: ${query.get("error_description") ?? query.get("error") ?? ""}.`);
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

  /** The e-mail address, to show who is signed in. */
  get name(): string {
    return this.#user?.profile.email ?? "";
  }

  /** An access token that is good for a while; waits for a sign-in if there is none. */
  async token(): Promise<string> {
    for (;;) {
      const user = this.#user;
      if (user && (user.expires_in ?? 0) > TOO_SHORT) return user.access_token;
      if (!(await this.#renew())) await this.expire();
    }
  }

  /** After the API refused this token: another one, or a sign-in. */
  async refused(token: string): Promise<void> {
    if (this.#user?.access_token !== token) return;
    if (!(await this.#renew())) await this.expire();
  }

  /** Resolves once somebody has signed in again. */
  expire(): Promise<void> {
    const signedIn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#state !== "expired") this.#become("expired");
    return signedIn;
  }

  /** Renews with the refresh token, once for all who ask meanwhile. */
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

  /** Signs out here and at Cognito. */
  signOut(): void {
    const { loginUrl, clientId } = this.configuration;
    this.#user = null;
    void this.#manager.removeUser();
    const back = new URLSearchParams({ client_id: clientId, logout_uri: `${location.origin}/` });
    location.assign(`${loginUrl}/logout?${back.toString()}`);
  }
}
