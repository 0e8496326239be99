/** Notices above the screen. */
import { createContext, useContext } from "react";

export interface Notice {
  /** One notice of an id is shown at a time. */
  id?: string;
  type: "success" | "info" | "error";
  header?: string;
  content: string;
}

export const NotifyContext = createContext<(notice: Notice) => void>(() => undefined);

export const useNotify = () => useContext(NotifyContext);
