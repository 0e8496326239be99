/** Notifications at the top of the page. */
import { createContext, useContext } from "react";

export interface Notice {
  /** A new notification replaces an earlier one with the same ID. */
  id?: string;
  type: "success" | "info" | "error";
  header?: string;
  content: string;
}

export const NotifyContext = createContext<(notice: Notice) => void>(() => undefined);

export const useNotify = () => useContext(NotifyContext);
