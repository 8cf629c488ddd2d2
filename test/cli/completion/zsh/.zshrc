PS1=
unsetopt prompt_cr prompt_sp
unset zle_bracketed_paste
autoload -Uz compinit
[[ -n $SPOOL_FPATH ]] && fpath=(${SPOOL_SCRIPT:h} $fpath)
compinit -D -u
[[ -n $SPOOL_FPATH ]] || source $SPOOL_SCRIPT
LISTMAX=10000
show() { print -r -- "<<$BUFFER >>"; BUFFER= }
zle -N show
bindkey '^X^E' show
print READY
