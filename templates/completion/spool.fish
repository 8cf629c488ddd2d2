# Completes the command line of Spool in fish. Made by: spool completion fish

# TABLE

# Prints the completions of a word. $argv: the values, the text before the word, the word, and the global options.
function __spool_values
    switch $argv[1]
        case 'words *'
            for word in (string split ' ' -- (string replace 'words ' '' -- $argv[1]))
                echo $argv[2]$word
            end
        case 'list *'
            set -l program (commandline -opc)[1]
            set -l list (string replace 'list ' '' -- $argv[1])
            for line in (command $program __complete $list $argv[3] $argv[4..-1] 2>/dev/null </dev/null)
                echo $argv[2]$line
            end
        case files
            __fish_complete_path
        case folders
            __fish_complete_directories
    end
end

function __spool_complete
    set -l at spool
    set -l option ''
    set -l only_arguments 0
    set -l position 1
    set -l globals
    set -l found
    set -l current (commandline -ct)
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test -n "$option"
            test "$found[2]" = 1; and set -a globals $option $word
            set option ''
        else if test $only_arguments = 1
            set position (math $position + 1)
        else if test "$word" = --
            set only_arguments 1
        else if string match -q -- '--*=*' $word
            set found (__spool_option "$at" (string split -m 1 = -- $word)[1])
            test "$found[2]" = 1; and set -a globals $word
        else if string match -q -- '-*' $word
            set found (__spool_option "$at" $word)
            and set option $word
        else if __spool_commands "$at" | string match -q -- $word\t'*'
            set at "$at $word"
            set position 1
        else
            set position (math $position + 1)
        end
    end
    if test -n "$option"
        __spool_values "$found[1]" '' "$current" $globals
    else if test $only_arguments = 0; and string match -q -- '--*=*' $current
        set -l parts (string split -m 1 = -- $current)
        set found (__spool_option "$at" $parts[1])
        and __spool_values "$found[1]" "$parts[1]=" "$parts[2]" $globals
    else if test $only_arguments = 0; and string match -q -- '-*' $current
        __spool_options "$at"
    else
        set -l arguments (__spool_arguments "$at")
        test $position -le (count $arguments)
        and __spool_values "$arguments[$position]" '' "$current" $globals
        test $only_arguments = 0
        and __spool_commands "$at"
    end
end

complete -c spool -e
complete -c spool -f -a '(__spool_complete)'
