/** What all screens of a stage share: its name and its rebuild. */
import { createContext, useContext } from "react";
import type { Rebuild, Save, StageName } from "./api";

export interface StagePage {
  name: StageName;
  rebuild: Rebuild | undefined;
  running: boolean;
  /** Increases with each phase of each rebuild, so that screens reload data that depends on it. */
  version: number;
  /** Call this after starting a rebuild. */
  begun: () => void;
  /** Shows a preview of a save, from which the user can save. */
  review: (review: Review) => void;
}

export interface Review {
  body: Save;
  etag: string | undefined;
  refused: (error: Error) => void;
  saved?: () => void;
}

export const StageContext = createContext<StagePage | null>(null);

export function useStage(): StagePage {
  const stage = useContext(StageContext);
  if (!stage) throw new Error("StageContext is missing");
  return stage;
}
