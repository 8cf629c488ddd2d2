#compdef spool
# Completes the command line of Spool in zsh. Made by: spool completion zsh

# TABLE

# Adds the completions of a word. $1: the values.
_spool_values() {
  local -a listed
  case $1 in
    words\ *)
      listed=(${=1#words })
      compadd -a listed
      ;;
    list\ *)
      # A colon ends the value, and the rest is its description.
      listed=(${${${(f)"$($words[1] __complete ${1#list } "$PREFIX" $globals 2>/dev/null </dev/null)"}//:/\\:}/$'\t'/:})
      _describe -t ${1#list } ${1#list } listed
      ;;
    files) _files ;;
    folders) _files -/ ;;
  esac
}

_spool() {
  local at=spool option= word values= is_global=0 only_arguments=0 index
  local -i position=0
  local -a spool_commands spool_options arguments globals
  _spool_command $at
  for ((index = 2; index < CURRENT; index++)); do
    word=$words[index]
    if [[ -n $option ]]; then
      ((is_global)) && globals+=($option $word)
      option=
    elif ((only_arguments)); then
      position+=1
    elif [[ $word == -- ]]; then
      only_arguments=1
    elif [[ $word == --*=* ]]; then
      _spool_option $at ${word%%=*} && ((is_global)) && globals+=($word)
    elif [[ $word == -* ]]; then
      _spool_option $at $word && option=$word
    elif ((${spool_commands[(I)$word:*]})); then
      at="$at $word" position=0
      _spool_command $at
    else
      position+=1
    fi
  done
  if [[ -n $option ]]; then
    _spool_values $values
  elif ((!only_arguments)) && compset -P '--*='; then
    _spool_option $at ${IPREFIX%=} && _spool_values $values
  elif ((!only_arguments)) && [[ $PREFIX == -* ]]; then
    _describe -o -t options option spool_options
  else
    ((position < $#arguments)) && _spool_values $arguments[position+1]
    ((!only_arguments && $#spool_commands)) && _describe -t commands command spool_commands
  fi
  return 0
}

# A file in $fpath is run at its first completion; a script that is sourced registers the function.
if [[ $funcstack[1] == _spool ]]; then
  _spool "$@"
elif ((${+functions[compdef]})); then # Defined by compinit.
  compdef _spool spool
fi
