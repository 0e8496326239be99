/** What the screens of one stage share: its name and its rebuild. */
import { createContext, useContext } from "react";
import type { Rebuild, Save, StageName } from "../api";

export interface StagePage {
  name: StageName;
  rebuild: Rebuild | undefined;
  running: boolean;
  /** Goes up with each phase of each rebuild: what depends on them is read again. */
  version: number;
  /** After something was begun. */
  begun: () => void;
  /** Shows what a Save would do, and saves. */
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
