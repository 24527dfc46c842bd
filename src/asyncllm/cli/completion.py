"""asyncllm completion: a script that completes commands and options in bash, zsh or fish."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

EXAMPLES = (
    'eval "$(asyncllm completion bash)"',
    "asyncllm completion zsh >> ~/.zshrc",
    "asyncllm completion fish > ~/.config/fish/completions/asyncllm.fish",
)
_BASH = """\
_asyncllm() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands} --help --version" -- "$word"))
        return
    fi
    case "$command" in
{cases}
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word")) ;;
    esac
}}
complete -o filenames -F _asyncllm asyncllm
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``asyncllm completion``."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Prints the script."""
    from .main import build_parser

    commands = _commands(build_parser())
    if arguments.shell == "fish":
        print("\n".join(_fish(commands)))
    else:
        before = "autoload -U +X bashcompinit && bashcompinit\n" if arguments.shell == "zsh" else ""
        print(before + _bash(commands), end="")
    return 0


def _commands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001  # argparse has no other way to the parsers of commands
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            return action.choices
    return {}


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in parser._actions:  # noqa: SLF001  # as above
        for option in action.option_strings:
            if option.startswith("--"):
                yield option, (action.help or "").partition("; ")[0]


def _words(parser: argparse.ArgumentParser) -> list[str]:
    return [
        str(word)
        for action in parser._actions  # noqa: SLF001  # as above
        if not action.option_strings and action.choices is not None
        for word in action.choices
    ]


def _bash(commands: Mapping[str, argparse.ArgumentParser]) -> str:
    cases = [
        f'        {name}) local options="{" ".join(option for option, _ in _options(parser))}" '
        f'words="{" ".join(_words(parser))}" ;;'
        for name, parser in commands.items()
    ]
    cases.append('        *) local options="--help" words="" ;;')
    return _BASH.format(commands=" ".join(commands), cases="\n".join(cases))


def _fish(commands: Mapping[str, argparse.ArgumentParser]) -> Iterator[str]:
    for name, parser in commands.items():
        told = (parser.description or "").replace("'", "")
        yield f"complete -c asyncllm -n __fish_use_subcommand -f -a {name} -d '{told}'"
        for option, meaning in _options(parser):
            yield (
                f"complete -c asyncllm -n '__fish_seen_subcommand_from {name}' -l {option[2:]} -d '"
                + meaning.replace("'", "")
                + "'"
            )
        for word in _words(parser):
            yield f"complete -c asyncllm -n '__fish_seen_subcommand_from {name}' -a {word}"
