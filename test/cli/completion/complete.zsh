# zsh complete.zsh SCRIPT LINE...: types each line into an interactive zsh, presses Tab, and prints what the shell shows,
# one line each. A completion that is unique is in the line itself, between << and >>.

zmodload zsh/zpty
export SPOOL_SCRIPT=$1 ZDOTDIR=${0:A:h}/zsh
shift
zpty child 'stty rows 500 cols 250; exec zsh -d -i'
zpty -r child shown '*READY*' || exit 1
for line in "$@"; do
  zpty -w -n child "$line"$'\t\x18\x05'
  zpty -r child shown '*<<*>>*' || exit 1
  print -r -- ${shown//[$'\r\n']/ }
done
