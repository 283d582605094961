# brine.bash - completes the arguments of brine and brined in bash.
#
# What there is to complete is what the programs' own help names, which is made of the tables that they read their
# arguments by.

# "--option argument" of each option in the help on standard input; the argument is empty where it takes none.
_brine_options() {
	sed -nE 's/^ +(-., +)?(--[a-z-]+)(\[=[A-Z]+\])?( ([^ ]+))?(  .*)?$/\2 \5/p'
}

# The commands in the help on standard input.
_brine_commands() {
	sed -nE '/^Commands:$/,/^$/ s/^  ([a-z]+) .*/\1/p'
}

# What the option takes, by the options on standard input.
_brine_argument() {
	sed -nE "s/^$1 //p"
}

# Answers with what compgen finds; names of files may have blanks in them.
_brine_reply() {
	[[ $1 != -f ]] || compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$@")
}

_brine_complete_argument() {
	local argument=$1 current=$2

	case $argument in
	*'|'*) _brine_reply -W "${argument//|/ }" -- "$current" ;;
	*PATH* | *FILE* | *DIR*) _brine_reply -f -- "$current" ;;
	esac
}

_brine_complete_operand() {
	local command=$1 commands=$2 position=$3 current=$4

	case $command:$position in
	:*) _brine_reply -W "$commands" -- "$current" ;;
	help:0) _brine_reply -W "$commands" -- "$current" ;;
	put:1 | import:0) _brine_reply -f -- "$current" ;;
	run:0) _brine_reply -c -- "$current" ;;
	run:*) _brine_reply -f -- "$current" ;;
	esac
}

_brine() {
	local program=$1 current=$2 options commands command= argument= position=0 word

	options=$("$program" --help 2>/dev/null | _brine_options)
	commands=$("$program" --help 2>/dev/null | _brine_commands)
	COMPREPLY=()
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		=) continue ;; # bash cuts --option=value in three
		-*)
			argument=$(_brine_argument "$word" <<<"$options")
			continue
			;;
		esac
		if [[ $argument ]]; then
			argument=
		elif [[ $command ]]; then
			((position++))
		elif [[ " ${commands//$'\n'/ } " == *" $word "* ]]; then
			command=$word
			options=$("$program" help "$command" 2>/dev/null | _brine_options)
		fi
	done
	[[ $current == = ]] && current=
	if [[ $argument ]]; then
		_brine_complete_argument "$argument" "$current"
	elif [[ $current == -* ]]; then
		_brine_reply -W "$(sed 's/ .*//' <<<"$options")" -- "$current"
	else
		_brine_complete_operand "$command" "$commands" "$position" "$current"
	fi
}

complete -F _brine brine brined
