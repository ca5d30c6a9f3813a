# bash completion of towerkeep; generated from its table of verbs
_towerkeep() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} flags= what= verb=
  COMPREPLY=()
  case $prev in
    --fail-on)
      COMPREPLY=($(compgen -W "warn crit" -- "$cur")); return ;;
    --for)
      COMPREPLY=($(compgen -W "fresh attested" -- "$cur")); return ;;
    --output)
      COMPREPLY=($(compgen -W "text json short" -- "$cur")); return ;;
    --config)
      COMPREPLY=($(compgen -W "$(compgen -f -- "$cur")" -- "$cur")); return ;;
    --color)
      COMPREPLY=($(compgen -W "auto never" -- "$cur")); return ;;
    --merge)
      COMPREPLY=($(compgen -W "$(compgen -f -- "$cur")" -- "$cur")); return ;;
    --certs)
      COMPREPLY=($(compgen -W "$(compgen -f -- "$cur")" -- "$cur")); return ;;
    --journal)
      COMPREPLY=($(compgen -W "$(compgen -f -- "$cur")" -- "$cur")); return ;;
    --metrics-file)
      COMPREPLY=($(compgen -W "$(compgen -f -- "$cur")" -- "$cur")); return ;;
    --mode)
      COMPREPLY=($(compgen -W "observe evict ban" -- "$cur")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W 'status doctor explain renew watch completion help' -- "$cur"))
    return
  fi
  verb=${COMP_WORDS[1]}
  case $verb in
    *) ;;
  esac
  case $verb in
    'status') flags='--fail-on --watch --wait --for --within --max-age --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'doctor') flags='--fail-on --merge --prove --list --certs --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'explain') flags='--fail-on --output --config --timeout --color --quiet --verbose'; what='code' ;;
    'renew') flags='--all --force --certs --metrics-file --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'watch') flags='--mode --check --output --config --timeout --color --quiet --verbose'; what='' ;;
    'completion') flags='--output --config --timeout --color --quiet --verbose'; what='bash zsh fish' ;;
    'help') flags='--output --config --timeout --color --quiet --verbose'; what='' ;;
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) case $what in
      host|code) COMPREPLY=($(compgen -W "$(towerkeep __complete "$what" 2>/dev/null)" -- "$cur")) ;;
      file) COMPREPLY=($(compgen -f -- "$cur")) ;;
      *) COMPREPLY=($(compgen -W "$what" -- "$cur")) ;;
    esac ;;
  esac
}
complete -o filenames -F _towerkeep towerkeep
