# Completes the command line of Spool in bash, from version 3.2. Made by: spool completion bash

# TABLE

# Adds the completions of a word. $1: the values, $2: the word, $3: the text before the word.
_spool_values() {
  local IFS=$'\n' word
  case $1 in
    words\ *)
      IFS=$' \n'
      COMPREPLY=($(compgen -P "$3" -W "${1#words }" -- "$2"))
      ;;
    list\ *)
      # Only the first column: bash shows no descriptions.
      for word in $("${COMP_WORDS[0]}" __complete "${1#list }" "$2" "${globals[@]}" 2>/dev/null </dev/null); do
        word=${word%%$'\t'*}
        [[ $word == "$2"* ]] && COMPREPLY+=("$3$word")
      done
      ;;
    files)
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -P "$3" -f -- "$2"))
      ;;
    folders)
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -P "$3" -d -- "$2"))
      ;;
  esac
}

_spool() {
  local current=${COMP_WORDS[COMP_CWORD]} at=spool option= position=0 only_arguments=0 index word
  local commands= options= values= is_global=0
  local -a arguments globals
  arguments=() globals=() COMPREPLY=()
  _spool_command "$at"
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    if [[ -n $option ]]; then
      [[ $word == '=' ]] && continue # bash splits --option=value at the =.
      ((is_global)) && globals+=("$option" "$word")
      option=
    elif ((only_arguments)); then
      position=$((position + 1))
    elif [[ $word == -- ]]; then
      only_arguments=1
    elif [[ $word == -* ]]; then
      _spool_option "$at" "$word" && option=$word
    elif [[ " $commands " == *" $word "* ]]; then
      at="$at $word" position=0
      _spool_command "$at"
    else
      position=$((position + 1))
    fi
  done
  if [[ -n $option ]]; then
    [[ $current == '=' ]] && current=
    _spool_values "$values" "$current" ''
  elif [[ $current == --*=* ]] && ! ((only_arguments)); then
    _spool_option "$at" "${current%%=*}" && _spool_values "$values" "${current#*=}" "${current%%=*}="
  elif [[ $current == -* ]] && ! ((only_arguments)); then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  else
    ((position < ${#arguments[@]})) && _spool_values "${arguments[position]}" "$current" ''
    ((only_arguments)) || COMPREPLY+=($(compgen -W "$commands" -- "$current"))
  fi
  return 0
}

complete -F _spool spool
