/** The form fields of a database that stagedb creates, for creating and for changing it. */
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import RadioGroup from "@cloudscape-design/components/radio-group";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Toggle from "@cloudscape-design/components/toggle";
import { useCallback } from "react";
import { usePage } from "../api";
import { APP_LOGIN_HINT, NEEDS_APP_LOGIN, ROTATION_HINT } from "../logic/login";
import { capacity, sentence } from "../logic/words";
import { fieldSentence, type FieldErrors, type OwnForm, shownRotationDays } from "../logic/save";
import { IN_PLACE, limitsOf, type Setting, settingLabel } from "../logic/settings";
import { useResource } from "../resource";

interface Props {
  form: OwnForm;
  change: (part: Partial<OwnForm>) => void;
  errors: FieldErrors;
  disabled?: boolean;
  /** How much storage is allowed, as text for the user. */
  storageHint: string;
  /** Whether the storage can't be changed right now. */
  storageFixed?: boolean;
  /** The versions to upgrade to. */
  versions?: string[];
  /** The label of the option that keeps the version. */
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
      label={settingLabel("instanceClass") ?? "Instance class"}
      description="The number of vCPUs and the amount of memory. You can change it later."
      errorText={fieldSentence(errors["/instanceClass"])}
    >
      <Select
        selectedOption={selected ?? (form.instanceClass === "" ? null : { value: form.instanceClass, label: form.instanceClass })}
        options={options}
        disabled={disabled}
        filteringType="auto"
        filteringPlaceholder="Find an instance class, such as t4g"
        filteringAriaLabel="Find an instance class"
        placeholder="Choose an instance class"
        triggerVariant="option"
        virtualScroll
        statusType={error ? "error" : classes ? "finished" : "loading"}
        loadingText="Loading instance classes"
        errorText="Couldn't load the instance classes."
        recoveryText="Try again"
        onLoadItems={() => {
          if (error) again();
        }}
        empty="No instance classes"
        noMatch="No matches"
        onChange={({ detail }) => change({ instanceClass: detail.selectedOption.value ?? "" })}
      />
    </FormField>
  );
}

export function Storage({ form, change, errors, disabled, storageHint, storageFixed }: Props) {
  return (
    <FormField
      label={settingLabel("storageGiB") ?? "Storage (GiB)"}
      description="You can increase it later, but you can't decrease it."
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

export function AppLogin({ form, change, errors, disabled }: Pick<Props, "form" | "change" | "errors" | "disabled">) {
  return (
    <FormField errorText={fieldSentence(errors["/appLogin"])}>
      <Toggle
        checked={form.appLogin}
        disabled={disabled}
        onChange={({ detail }) => change({ appLogin: detail.checked })}
        description={APP_LOGIN_HINT}
      >
        {settingLabel("appLogin") ?? "App login"}
      </Toggle>
    </FormField>
  );
}

export function RotationDays({ form, change, errors, disabled }: Pick<Props, "form" | "change" | "errors" | "disabled">) {
  return (
    <FormField
      label={settingLabel("rotationDays") ?? "Password rotation (days)"}
      description={ROTATION_HINT}
      constraintText={form.appLogin ? `${limitsOf("rotationDays")}.` : NEEDS_APP_LOGIN}
      errorText={fieldSentence(errors["/rotationDays"])}
    >
      <Input
        type="number"
        inputMode="numeric"
        value={shownRotationDays(form)}
        disabled={disabled === true || !form.appLogin}
        onChange={({ detail }) => change({ rotationDays: detail.value })}
      />
    </FormField>
  );
}

export function MoreSettings({ form, change, errors, disabled, versions, version }: Props) {
  const hidden = ["/maxStorageGiB", "/engineVersion", "/apply", ...IN_PLACE.map(({ name }) => `/${name}`)];
  const none = { value: "", label: version };
  const options = [none, ...(versions ?? []).map((each) => ({ value: each, label: `Upgrade to ${each}` }))];
  return (
    <ExpandableSection
      headerText="Additional settings"
      headerDescription={
        versions
          ? "Storage autoscaling, standby, backups, PostgreSQL version, and when to apply changes"
          : "Storage autoscaling, standby, backups, and when to apply changes"
      }
      defaultExpanded={hidden.some((pointer) => errors[pointer])}
    >
      <SpaceBetween size="l">
        <FormField
          label={
            <>
              {settingLabel("maxStorageGiB") ?? "Maximum storage (GiB)"} <i>– optional</i>
            </>
          }
          description="RDS increases the storage up to this limit when it's nearly full. Leave this field empty to turn off storage autoscaling."
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
        {IN_PLACE.map((setting) => (
          <InPlaceField
            key={setting.name}
            setting={setting}
            value={form.inPlace[setting.name]}
            change={(value) => change({ inPlace: { ...form.inPlace, [setting.name]: value } })}
            error={errors[`/${setting.name}`]}
            disabled={disabled}
          />
        ))}
        {versions && (
          <FormField
            label={settingLabel("engineVersion") ?? "PostgreSQL version"}
            description="You can upgrade it, but you can't downgrade it."
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
        <FormField
          label={settingLabel("apply") ?? "When to apply changes"}
          description="This affects only changes that interrupt the database."
          errorText={fieldSentence(errors["/apply"])}
        >
          <RadioGroup
            value={form.apply}
            onChange={({ detail }) => change({ apply: detail.value as OwnForm["apply"] })}
            items={[
              { value: "now", label: "Immediately", description: "RDS makes the changes during the rebuild.", disabled },
              {
                value: "maintenance-window",
                label: "In the maintenance window",
                description: "RDS makes the changes in the database's next weekly maintenance window.",
                disabled,
              },
            ]}
          />
        </FormField>
      </SpaceBetween>
    </ExpandableSection>
  );
}

/** The form field of a setting that needs no special control. */
function InPlaceField({
  setting,
  value,
  change,
  error,
  disabled,
}: {
  setting: Setting;
  value: string | boolean | undefined;
  change: (value: string | boolean) => void;
  error: string | undefined;
  disabled: boolean | undefined;
}) {
  const { label, description } = setting;
  const text = typeof value === "string" ? value : "";
  const common = { description, errorText: fieldSentence(error) };
  switch (setting.type) {
    case "boolean":
      return (
        <FormField {...common}>
          <Toggle checked={value === true} disabled={disabled} onChange={({ detail }) => change(detail.checked)}>
            {label}
          </Toggle>
        </FormField>
      );
    case "number":
      return (
        <FormField label={label} constraintText={`${limitsOf(setting.name)}.`} {...common}>
          <Input
            type="number"
            inputMode="numeric"
            value={text}
            disabled={disabled}
            onChange={({ detail }) => change(detail.value)}
          />
        </FormField>
      );
    case "choice": {
      const options = setting.words.map((word) => ({ value: word, label: sentence(word) }));
      return (
        <FormField label={label} {...common}>
          <Select
            selectedOption={options.find((option) => option.value === text) ?? null}
            options={options}
            disabled={disabled}
            onChange={({ detail }) => change(detail.selectedOption.value ?? "")}
          />
        </FormField>
      );
    }
    case "text":
      return (
        <FormField label={label} {...common}>
          <Input value={text} spellcheck={false} disabled={disabled} onChange={({ detail }) => change(detail.value)} />
        </FormField>
      );
  }
}
