# bash completion of towerkeep; generated from its table of verbs
# Names of hosts and files are taken as they are: compgen -W would expand what they hold.
_towerkeep_lines() {
  local line
  while IFS= read -r line; do
    if [[ $line == "$cur"* ]]; then COMPREPLY+=("$line"); fi
  done
}
_towerkeep() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} flags= what= verb=
  COMPREPLY=()
  case $prev in
    --fail-on)
      COMPREPLY=($(compgen -W 'warn crit' -- "$cur")); return ;;
    --for)
      COMPREPLY=($(compgen -W 'fresh attested' -- "$cur")); return ;;
    --output)
      COMPREPLY=($(compgen -W 'text json short' -- "$cur")); return ;;
    --config)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --color)
      COMPREPLY=($(compgen -W 'auto never' -- "$cur")); return ;;
    --merge)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --certs)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --devids)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --journal)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --emit)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --evidence)
      COMPREPLY=($(compgen -W 'tpm keylime-agent' -- "$cur")); return ;;
    --ca-file)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --vault-token-file)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --policy)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --metrics-file)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --baselines)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --windows)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --undo)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --out)
      _towerkeep_lines < <(compgen -f -- "$cur"); return ;;
    --mode)
      COMPREPLY=($(compgen -W 'observe evict ban' -- "$cur")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W 'status doctor explain enroll renew recover revoke restore policy entries gc pin support watch completion help' -- "$cur"))
    return
  fi
  verb=${COMP_WORDS[1]}
  case $verb in
    enroll) [ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W 'prepare apply accept' -- "$cur")) && return; verb="$verb ${COMP_WORDS[2]}" ;;
    renew) [ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W 'devid' -- "$cur")) && return; verb="$verb ${COMP_WORDS[2]}" ;;
    policy) [ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W 'show lint baseline diff approve apply' -- "$cur")) && return; verb="$verb ${COMP_WORDS[2]}" ;;
    entries) [ "$COMP_CWORD" -eq 2 ] && COMPREPLY=($(compgen -W 'list reparent alias' -- "$cur")) && return; verb="$verb ${COMP_WORDS[2]}" ;;
  esac
  case $verb in
    'status') flags='--fail-on --watch --wait --for --within --max-age --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'doctor') flags='--fail-on --merge --prove --list --certs --devids --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'explain') flags='--fail-on --output --config --timeout --color --quiet --verbose'; what='code' ;;
    'enroll prepare') flags='--emit --ip --evidence --tpm-path --plugin --spire-address --spire-port --registrar-ip --registrar-port --ca-file --vault-address --vault-mount --vault-role --vault-token-file --cert-ttl --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'enroll apply') flags='--wrapped-secret-id --role-id --tpm-path --start --root --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='file' ;;
    'enroll accept') flags='--agent-id --ek --policy --baseline --entry --within --unattested --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'renew') flags='--all --force --certs --metrics-file --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'renew devid') flags='--force --devids --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'recover') flags='--reason --max --within --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'revoke') flags='--reason --break-glass --after --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'restore') flags='--within --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'policy show') flags='--fail-on --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'policy lint') flags='--fail-on --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'policy baseline') flags='--pcr --quotes --keep-policy --baselines --within --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'policy diff') flags='--output --config --timeout --color --quiet --verbose'; what='host' ;;
    'policy approve') flags='--window --end --due --windows --quotes --within --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'policy apply') flags='--dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='file' ;;
    'entries list') flags='--output --config --timeout --color --quiet --verbose'; what='host' ;;
    'entries reparent') flags='--dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'entries alias') flags='--selector --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'gc') flags='--delete --undo --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='host' ;;
    'pin') flags='--write --check --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='file' ;;
    'support') flags='--out --certs --dry-run --yes --journal --output --config --timeout --color --quiet --verbose'; what='' ;;
    'watch') flags='--mode --check --output --config --timeout --color --quiet --verbose'; what='' ;;
    'completion') flags='--output --config --timeout --color --quiet --verbose'; what='bash zsh fish' ;;
    'help') flags='--output --config --timeout --color --quiet --verbose'; what='' ;;
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) case $what in
      host|code) _towerkeep_lines < <(towerkeep __complete "$what" 2>/dev/null) ;;
      file) _towerkeep_lines < <(compgen -f -- "$cur") ;;
      *) COMPREPLY=($(compgen -W "$what" -- "$cur")) ;;
    esac ;;
  esac
}
complete -o filenames -F _towerkeep towerkeep
