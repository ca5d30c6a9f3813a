# SPIRE's authorization, narrowed for towerkeep: its socket lets a local caller mint any identity, this does not.
#
# In server.conf (the caller's path is known only with the audit log):
#
#   server {
#     audit_log_enabled = true
#     experimental {
#       auth_opa_policy_engine {
#         local {
#           rego_path = "/usr/share/towerkeep/opa/towerkeep.rego"
#           policy_data_path = "/usr/share/towerkeep/opa/towerkeep.json"
#         }
#       }
#     }
#   }
#
# towerkeep.json lists who may call what, as SPIRE has it by default, and what towerkeep may. A method that it does not
# list is refused to everybody: compare it with a new release of SPIRE before an upgrade.
package spire

result = {
  "allow": allow,
  "allow_if_local": allow_if_local,
  "allow_if_admin": allow_if_admin,
  "allow_if_agent": allow_if_agent,
  "allow_if_downstream": allow_if_downstream,
}

default allow = false

default allow_if_local = false

default allow_if_admin = false

default allow_if_agent = false

default allow_if_downstream = false

default is_towerkeep = false

is_towerkeep = true if { input.caller_file_path == data.towerkeep.path }

allow = true if { data.any[_] == input.full_method }

allow_if_local = true if {
  not is_towerkeep
  data.local[_] == input.full_method
}

allow_if_local = true if {
  is_towerkeep
  data.towerkeep.methods[_] == input.full_method
}

allow_if_admin = true if { data.admin[_] == input.full_method }

allow_if_agent = true if { data.agent[_] == input.full_method }

allow_if_downstream = true if { data.downstream[_] == input.full_method }
