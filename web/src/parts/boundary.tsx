/** What is shown when a screen breaks, or its code cannot be loaded. */
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
        header="This screen cannot be shown"
        action={<Button onClick={() => location.reload()}>Reload the page</Button>}
      >
        Perhaps a new version was deployed while the page was open. What you typed is kept.
      </Alert>
    );
  }
}
