/** The fields of a database of the stage's own, for a new one and for changing it. */
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import RadioGroup from "@cloudscape-design/components/radio-group";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Toggle from "@cloudscape-design/components/toggle";
import { useCallback } from "react";
import { usePage } from "../api";
import { capacity } from "../logic/words";
import { fieldSentence, type FieldErrors, type OwnForm } from "../logic/save";
import { useResource } from "../resource";

interface Props {
  form: OwnForm;
  change: (part: Partial<OwnForm>) => void;
  errors: FieldErrors;
  disabled?: boolean;
  /** The least storage, in words. */
  storageHint: string;
  /** Whether storage may not be changed now. */
  storageFixed?: boolean;
  /** Versions to choose from, besides the one that is. */
  versions?: string[];
  /** What the version is called where none is chosen. */
  version: string;
}

export function InstanceType({ form, change, errors, disabled }: Pick<Props, "form" | "change" | "errors" | "disabled">) {
  const { api } = usePage();
  const { value: classes, error, again } = useResource(useCallback(() => api.instanceClasses(), [api]));
  const options = (classes ?? []).map((each) => ({
    value: each.name,
    label: each.name,
    description: capacity(each),
    filteringTags: [each.name.split(".")[1] ?? ""],
  }));
  const selected = options.find((option) => option.value === form.instanceClass);
  return (
    <FormField
      label="Instance type"
      description="How much processor and memory the database has. It can be changed later."
      errorText={fieldSentence(errors["/instanceClass"])}
    >
      <Select
        selectedOption={selected ?? (form.instanceClass === "" ? null : { value: form.instanceClass, label: form.instanceClass })}
        options={options}
        disabled={disabled}
        filteringType="auto"
        filteringPlaceholder="Find an instance type, such as t4g"
        filteringAriaLabel="Find an instance type"
        placeholder="Choose an instance type"
        triggerVariant="option"
        virtualScroll
        statusType={error ? "error" : classes ? "finished" : "loading"}
        loadingText="Loading the instance types"
        errorText="The instance types cannot be loaded."
        recoveryText="Try again"
        onLoadItems={() => {
          if (error) again();
        }}
        empty="There is none"
        noMatch="There is no such instance type"
        onChange={({ detail }) => change({ instanceClass: detail.selectedOption.value ?? "" })}
      />
    </FormField>
  );
}

export function Storage({ form, change, errors, disabled, storageHint, storageFixed }: Props) {
  return (
    <FormField
      label="Storage size (GiB)"
      description="It can grow later, and never shrink."
      constraintText={storageHint}
      errorText={fieldSentence(errors["/storageGiB"])}
    >
      <Input
        type="number"
        inputMode="numeric"
        value={form.storageGiB}
        disabled={disabled ?? storageFixed}
        onChange={({ detail }) => change({ storageGiB: detail.value })}
      />
    </FormField>
  );
}

export function MoreSettings({ form, change, errors, disabled, versions, version }: Props) {
  const hidden = ["/maxStorageGiB", "/multiAz", "/backupRetentionDays", "/engineVersion", "/apply"];
  const none = { value: "", label: version };
  const options = [none, ...(versions ?? []).map((each) => ({ value: each, label: `Upgrade to ${each}` }))];
  return (
    <ExpandableSection
      headerText="More settings"
      headerDescription="Growth, standby, backups, version and when changes are made"
      defaultExpanded={hidden.some((pointer) => errors[pointer])}
    >
      <SpaceBetween size="l">
        <FormField
          label={
            <>
              Storage limit (GiB) <i>– optional</i>
            </>
          }
          description="Up to where RDS lets the storage grow by itself before it is full. Empty: it does not grow by itself."
          errorText={fieldSentence(errors["/maxStorageGiB"])}
        >
          <Input
            type="number"
            inputMode="numeric"
            value={form.maxStorageGiB}
            disabled={disabled}
            onChange={({ detail }) => change({ maxStorageGiB: detail.value })}
          />
        </FormField>
        <FormField
          label="Standby"
          description="A second database in another availability zone takes over when the first fails. It doubles the cost."
          errorText={fieldSentence(errors["/multiAz"])}
        >
          <Toggle checked={form.multiAz} disabled={disabled} onChange={({ detail }) => change({ multiAz: detail.checked })}>
            Keep a standby
          </Toggle>
        </FormField>
        <FormField
          label="Days that backups are kept"
          constraintText="1 to 35 days."
          errorText={fieldSentence(errors["/backupRetentionDays"])}
        >
          <Input
            type="number"
            inputMode="numeric"
            value={form.backupRetentionDays}
            disabled={disabled}
            onChange={({ detail }) => change({ backupRetentionDays: detail.value })}
          />
        </FormField>
        {versions && (
          <FormField
            label="PostgreSQL version"
            description="It can be raised and never lowered."
            errorText={fieldSentence(errors["/engineVersion"])}
          >
            <Select
              selectedOption={options.find((option) => option.value === form.engineVersion) ?? none}
              options={options}
              disabled={disabled}
              onChange={({ detail }) => change({ engineVersion: detail.selectedOption.value ?? "" })}
            />
          </FormField>
        )}
        <FormField label="Changes that interrupt the database" errorText={fieldSentence(errors["/apply"])}>
          <RadioGroup
            value={form.apply}
            onChange={({ detail }) => change({ apply: detail.value as OwnForm["apply"] })}
            items={[
              { value: "now", label: "At once", description: "As part of the rebuild.", disabled },
              {
                value: "maintenance-window",
                label: "In the maintenance window",
                description: "RDS makes them in the weekly window of the database.",
                disabled,
              },
            ]}
          />
        </FormField>
      </SpaceBetween>
    </ExpandableSection>
  );
}
