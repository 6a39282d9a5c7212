/**
 * `fluxiondb completion`: what a shell needs to complete commands and options, made from the commands themselves.
 */
import { Argument, type Command, type Option } from "commander";
import { GROUP_SHELL } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { writeOutput } from "./output.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

const HELP = `
Examples:
  source <(fluxiondb completion bash)                                        # in ~/.bashrc
  fluxiondb completion zsh > "\${fpath[1]}/_fluxiondb"                        # once
  fluxiondb completion fish > ~/.config/fish/completions/fluxiondb.fish      # once
`;

type Entry = { readonly name: string; readonly summary: string; readonly options: readonly OptionEntry[] };
type OptionEntry = { readonly flag: string; readonly summary: string; readonly takesValue: boolean };

export function addCompletion(program: Command): void {
  const summary = "Print a script that completes commands in a shell";
  addCommand(program, { name: "completion", summary, group: GROUP_SHELL }, (command) => {
    command
      .addArgument(new Argument("<shell>", SHELLS.join(", ")).choices(SHELLS))
      .addHelpText("after", HELP)
      .action((shell: Shell) => writeOutput(RENDERERS[shell](entriesOf(program))));
  });
}

/** The commands and options that help shows. */
function entriesOf(program: Command): Entry[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .map((command) => ({
      name: command.name(),
      summary: command.description(),
      options: command.createHelp().visibleOptions(command).map(optionEntry),
    }));
}

const optionEntry = ({ long, flags, description, required, optional }: Option): OptionEntry => ({
  flag: long ?? flags,
  summary: description,
  takesValue: required || optional,
});

const RENDERERS: Readonly<Record<Shell, (entries: readonly Entry[]) => string>> = {
  bash: (entries) => `# fluxiondb: completion for bash
_fluxiondb() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${entries.map(({ name }) => name).join(" ")}" -- "$word"))
    return
  fi
  local options=""
  case "\${COMP_WORDS[1]}" in
${entries.map(({ name, options }) => `    ${name}) options="${options.map(({ flag }) => flag).join(" ")}" ;;`).join("\n")}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -F _fluxiondb fluxiondb
`,
  zsh: (entries) => `#compdef fluxiondb
# fluxiondb: completion for zsh
_fluxiondb() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${entries.map(({ name, summary }) => `      ${quote(`${name}:${summary}`)}`).join("\n")}
    )
    _describe command commands
    return
  fi
  case "$words[2]" in
${entries
  .map(({ name, options }) => {
    const specs = options.map(({ flag, summary, takesValue }) =>
      quote(`${flag}[${summary.replaceAll(/[[\]:]/g, "\\$&")}]${takesValue ? ":value:_files" : ""}`),
    );
    return `    ${name}) _arguments ${specs.join(" ")} '*:file:_files' ;;`;
  })
  .join("\n")}
  esac
}
compdef _fluxiondb fluxiondb
`,
  fish: (entries) =>
    [
      "# fluxiondb: completion for fish",
      ...entries.flatMap(({ name, summary, options }) => [
        `complete -c fluxiondb -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
        ...options.map(
          ({ flag, summary: about, takesValue }) =>
            `complete -c fluxiondb -n '__fish_seen_subcommand_from ${name}' -l ${flag.replace(/^--/, "")}${takesValue ? " -r" : ""} -d ${quote(about)}`,
        ),
      ]),
      "",
    ].join("\n"),
};

/** For all three shells. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
