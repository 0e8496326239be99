/** What all screens of a stage share: its name and its rebuild. */
import { createContext, useContext } from "react";
import type { Rebuild, Save, StageName } from "./api";
import type { Knowledge } from "./logic/connection-test";
import { type Access, accessTo, type Lock, lockOf, type Operation, type StageAccess, WAIT } from "./logic/access";

export interface StagePage {
  name: StageName;
  rebuild: Rebuild | undefined;
  running: boolean;
  /** Increases with each phase of each rebuild, so that screens reload data that depends on it. */
  version: number;
  /** What the user may do. Undefined until the API has said so. */
  access: StageAccess | undefined;
  /** Whether the API couldn't say what the user may do. */
  accessFailed: boolean;
  /** Asks again what the user may do. */
  checkAccess: () => void;
  /** Call this after starting a rebuild. */
  begun: () => void;
  /** Shows a preview of a save, from which the user can save. */
  review: (review: Review) => void;
}

export interface Review {
  body: Save;
  etag: string | undefined;
  /** What is known about the connection to a database that's attached. */
  connection?: Knowledge;
  refused: (error: Error) => void;
  saved?: () => void;
}

export const StageContext = createContext<StagePage | null>(null);

export function useStage(): StagePage {
  const stage = useContext(StageContext);
  if (!stage) throw new Error("StageContext is missing");
  return stage;
}

/** Whether the user may do all of these to the stage. */
export function useAccess(...operations: Operation[]): Access {
  const { access, accessFailed } = useStage();
  return accessTo(access, accessFailed, operations);
}

/** Whether a button for these operations is disabled, and why: because of the user's role, or because of a rebuild. */
export function useLock(...operations: Operation[]): Lock {
  const { running } = useStage();
  return lockOf(useAccess(...operations), running && WAIT);
}
