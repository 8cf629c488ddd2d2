# bash complete.bash SCRIPT LINE...: prints the completions of each line, one line each.

source "$1"
shift
complete -p spool >/dev/null || exit 1
for line in "$@"; do
  # Splits as bash does: at spaces and at =.
  IFS=' ' read -r -a COMP_WORDS <<<"${line//=/ = }"
  [[ $line == *[\ =] ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _spool
  echo "${COMPREPLY[*]}"
done
