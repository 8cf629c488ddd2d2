# fish complete.fish SCRIPT LINE...: prints the completions of each line, one line each.

source $argv[1]
for line in $argv[2..-1]
    echo (complete -C $line | string replace -r '\t.*' '')
end
