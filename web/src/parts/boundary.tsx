/** Shown when a screen fails to render, or when its code can't be loaded. */
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import { Component, type ReactNode } from "react";

export class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Alert
        type="error"
        header="Couldn't load this page"
        action={<Button onClick={() => location.reload()}>Reload the page</Button>}
      >
        A new version may have been deployed while the page was open. Reload the page to continue. Your edits are kept, but
        you need to enter passwords again.
      </Alert>
    );
  }
}
