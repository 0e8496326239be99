/** The API client. Its types are generated from `openapi.json` with `npm run types`. */
import createClient from "openapi-fetch";
import { createContext, useContext } from "react";
import type { components, paths } from "./generated/api";
import type { Session } from "./session";
import type { Signal } from "./signal";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];
export type Database = Schemas["Database"];
/** A database with its ETag, for `If-Match`. */
export type Read = Database & { etag: string | undefined };
export type Login = Schemas["Login"];
export type Settings = Schemas["Settings"];
export type Save = Schemas["Save"];
export type Rebuild = Schemas["Rebuild"];
export type Preview = Schemas["Preview"];
export type ConnectionTest = Schemas["ConnectionTest"];
export type ConnectionResult = Schemas["ConnectionResult"];
export type FoundDatabase = Schemas["FoundDatabase"];
export type InstanceClass = Schemas["InstanceClass"];
export type Snapshot = Schemas["Snapshot"];
export type Stack = Schemas["Stack"];
export type FoundService = Schemas["FoundService"];
export type Registration = Schemas["Registration"];
/** A registered stage with its ETag, for `If-Match`. */
export type StageRead = Schemas["StageDetails"] & { etag: string | undefined };
export type RuntimeVariables = Schemas["RuntimeVariables"];
export type Snippet = Schemas["Snippet"];
export type HistoryPage = Schemas["History"];
export type HistoryRecord = Schemas["HistoryRecord"];

/** Why an API call failed. The message is meant for the user. */
export class Refusal extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }

  /** The error for a field of the body, if there is one. */
  field(pointer: string): string | undefined {
    return this.problem.errors?.find((error) => error.pointer === pointer)?.detail;
  }
}

/** Which records of a history to list. Without a filter, all of them. */
export interface HistoryFilter {
  kind?: string;
  operation?: string;
  who?: string;
}

/** Identifies a stage. */
export interface StageName {
  stack: string;
  stage: string;
}

const UNREACHABLE = "Can't reach the API. Check your connection, then try again.";

function problem(status: number, title: string, detail: string): Problem {
  return { type: "urn:stagedb:problem:unknown", title, status, detail, requestId: "" };
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Returns the body of a successful response, or throws a Refusal. */
async function unwrap<T>(call: Promise<Answer<T>>): Promise<{ data: T; response: Response }> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(problem(0, "No response", UNREACHABLE));
  }
  const { data, error, response } = answer;
  if (response.ok && data !== undefined) return { data, response };
  const said = error as Partial<Problem> | undefined;
  if (said && typeof said === "object" && typeof said.detail === "string") throw new Refusal(said as Problem);
  // Errors from API Gateway itself have no detail.
  const detail =
    response.status === 429
      ? "Too many requests. Try again in a few seconds."
      : `The API returned HTTP status ${String(response.status)}. Try again. If it fails again, see the log of settings-api for the cause.`;
  throw new Refusal(problem(response.status, "Request failed", detail));
}

/** Every API call that the page makes. */
export type Api = ReturnType<typeof makeApi>;

/** `forbidden` fires when the user's role doesn't allow a request. */
export function makeApi(session: Session, forbidden: Signal) {
  /** Sends a request with an access token. If the token has expired, sends it again as soon as there's a new one. */
  async function authorized(request: Request): Promise<Response> {
    for (;;) {
      const token = await session.token();
      const attempt = request.clone();
      attempt.headers.set("Authorization", `Bearer ${token}`);
      const response = await fetch(attempt);
      if (response.status === 403) forbidden.fire();
      if (response.status !== 401) return response;
      await session.refused(token);
    }
  }
  const client = createClient<paths>({ baseUrl: location.origin, fetch: authorized });
  const stagePath = (name: StageName) => ({ path: name });

  /** Reads all pages of a list. */
  async function all<Page extends { nextToken?: string | null }, Item>(
    page: (nextToken: string | undefined) => Promise<{ data: Page }>,
    items: (page: Page) => Item[],
  ): Promise<Item[]> {
    const found: Item[] = [];
    let token: string | undefined;
    do {
      const { data } = await page(token);
      found.push(...items(data));
      token = data.nextToken ?? undefined;
    } while (token);
    return found;
  }

  return {
    /** Who is signed in, and what they may do to this stage. */
    me: async (name: StageName | undefined, signal?: AbortSignal) =>
      (await unwrap(client.GET("/api/me", { params: { query: name }, signal }))).data,
    signOutEverywhere: async () => (await unwrap(client.POST("/api/me/sign-out"))).data,
    stacks: (signal?: AbortSignal) =>
      all(
        (nextToken) => unwrap(client.GET("/api/stacks", { params: { query: { nextToken } }, signal })),
        (page) => page.stacks,
      ),
    instanceClasses: () =>
      all(
        (nextToken) => unwrap(client.GET("/api/instance-classes", { params: { query: { nextToken } } })),
        (page) => page.instanceClasses,
      ),
    databases: (name: StageName) =>
      all(
        (nextToken) => unwrap(client.GET("/api/databases", { params: { query: { ...name, nextToken } } })),
        (page) => page.databases,
      ),
    /** One page of the ECS services, because they can be many. */
    services: async (nextToken: string | undefined, signal: AbortSignal) =>
      (await unwrap(client.GET("/api/services", { params: { query: { nextToken } }, signal }))).data,
    stage: async (name: StageName, signal?: AbortSignal): Promise<StageRead> => {
      const { data, response } = await unwrap(
        client.GET("/api/stacks/{stack}/stages/{stage}", { params: stagePath(name), signal }),
      );
      return { ...data, etag: response.headers.get("etag") ?? undefined };
    },
    register: async (name: StageName, body: Registration, etag: string | undefined, key: string) =>
      (
        await unwrap(
          client.PUT("/api/stacks/{stack}/stages/{stage}", {
            params: { ...stagePath(name), header: { "If-Match": etag, "Idempotency-Key": key } },
            body,
          }),
        )
      ).data,
    deregister: async (name: StageName, etag: string | undefined, key: string) =>
      (
        await unwrap(
          client.DELETE("/api/stacks/{stack}/stages/{stage}", {
            params: { ...stagePath(name), header: { "If-Match": etag, "Idempotency-Key": key } },
          }),
        )
      ).data,
    protect: async (name: StageName, isProtected: boolean) =>
      (
        await unwrap(
          client.PUT("/api/stacks/{stack}/stages/{stage}/protection", {
            params: stagePath(name),
            body: { protected: isProtected },
          }),
        )
      ).data,
    /** One page, because a history can be long. */
    history: async (
      name: StageName,
      filter: HistoryFilter & { limit?: string; nextToken?: string },
      signal?: AbortSignal,
    ): Promise<HistoryPage> =>
      (
        await unwrap(
          client.GET("/api/stacks/{stack}/stages/{stage}/history", {
            params: { ...stagePath(name), query: filter },
            signal,
          }),
        )
      ).data,
    snapshots: async (name: StageName) =>
      (await unwrap(client.GET("/api/stacks/{stack}/stages/{stage}/snapshots", { params: stagePath(name) }))).data
        .snapshots,
    database: async (name: StageName, signal?: AbortSignal) => {
      const { data, response } = await unwrap(
        client.GET("/api/stacks/{stack}/stages/{stage}/database", { params: stagePath(name), signal }),
      );
      return { ...data, etag: response.headers.get("etag") ?? undefined };
    },
    rebuild: async (name: StageName, signal?: AbortSignal) =>
      (await unwrap(client.GET("/api/stacks/{stack}/stages/{stage}/rebuild", { params: stagePath(name), signal }))).data,
    variables: async (name: StageName, signal?: AbortSignal) =>
      (
        await unwrap(
          client.GET("/api/stacks/{stack}/stages/{stage}/runtime-variables", { params: stagePath(name), signal }),
        )
      ).data,
    restoreVariables: async (name: StageName, key: string) =>
      (
        await unwrap(
          client.POST("/api/stacks/{stack}/stages/{stage}/runtime-variables", {
            params: { ...stagePath(name), header: { "Idempotency-Key": key } },
          }),
        )
      ).data,
    snippets: async (name: StageName, signal?: AbortSignal) =>
      (
        await unwrap(
          client.GET("/api/stacks/{stack}/stages/{stage}/runtime-variables/snippets", {
            params: stagePath(name),
            signal,
          }),
        )
      ).data.snippets,
    metrics: async (name: StageName, signal?: AbortSignal) =>
      (
        await unwrap(
          client.GET("/api/stacks/{stack}/stages/{stage}/database/metrics", { params: stagePath(name), signal }),
        )
      ).data,
    preview: async (name: StageName, body: Save, etag: string | undefined) =>
      (
        await unwrap(
          client.POST("/api/stacks/{stack}/stages/{stage}/database/preview", {
            params: { ...stagePath(name), header: { "If-Match": etag } },
            body,
          }),
        )
      ).data,
    save: async (name: StageName, body: Save, etag: string | undefined, key: string) =>
      (
        await unwrap(
          client.PUT("/api/stacks/{stack}/stages/{stage}/database", {
            params: { ...stagePath(name), header: { "If-Match": etag, "Idempotency-Key": key } },
            body,
          }),
        )
      ).data,
    testConnection: async (name: StageName, body: Save, etag: string | undefined, key: string) =>
      (
        await unwrap(
          client.POST("/api/stacks/{stack}/stages/{stage}/database/connection-test", {
            params: { ...stagePath(name), header: { "If-Match": etag, "Idempotency-Key": key } },
            body,
          }),
        )
      ).data,
    connectionTest: async (name: StageName, id: string, signal?: AbortSignal) =>
      (
        await unwrap(
          client.GET("/api/stacks/{stack}/stages/{stage}/database/connection-test", {
            params: { ...stagePath(name), query: { id } },
            signal,
          }),
        )
      ).data,
    remove: async (name: StageName, confirm: string, etag: string | undefined, key: string) =>
      (
        await unwrap(
          client.DELETE("/api/stacks/{stack}/stages/{stage}/database", {
            params: { ...stagePath(name), header: { "If-Match": etag, "Idempotency-Key": key } },
            body: { confirm },
          }),
        )
      ).data,
    /** Without `immediately`, the earlier login is disabled when the last container with it has stopped. */
    rotateLogin: async (name: StageName, immediately: boolean, key: string) =>
      (
        await unwrap(
          client.POST("/api/stacks/{stack}/stages/{stage}/database/rotation", {
            params: { ...stagePath(name), header: { "Idempotency-Key": key } },
            body: immediately ? { immediately } : undefined,
          }),
        )
      ).data,
    rebuildAgain: async (name: StageName, key: string) =>
      (
        await unwrap(
          client.POST("/api/stacks/{stack}/stages/{stage}/rebuild", {
            params: { ...stagePath(name), header: { "Idempotency-Key": key } },
          }),
        )
      ).data,
  };
}

export interface Page {
  api: Api;
  session: Session;
  /** Fires when the API has refused a request because of the user's role. */
  forbidden: Signal;
}

export const PageContext = createContext<Page | null>(null);

/** The API and the session. */
export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("PageContext is missing");
  return page;
}
