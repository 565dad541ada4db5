-- Health of a ByocPhoneNumber, by kstatus: observedGeneration, then Reconciling, Stalled, Ready.
-- Degraded makes a running sync fail, so it is used only if a person must act. In all other cases a sync waits.
-- Argo CD runs this script in a Lua with few libraries: there is no `string` library.
local status = obj.status or {}
local annotations = obj.metadata.annotations or {}
local paused = annotations["byoc.talkifai.dev/paused"]

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(type)
  return conditions[type] ~= nil and conditions[type].status == "True"
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "The number is being deleted" }
end
-- Checked before the operator's status: a paused number is Suspended even if the operator is down.
if paused == "true" or paused == "True" then
  return { status = "Suspended", message = "Paused: nothing is written to LiveKit" }
end
-- Conditions of an older spec say nothing about the current spec. The CRD's default of observedGeneration is -1.
if status.observedGeneration ~= obj.metadata.generation or conditions.Ready == nil then
  return { status = "Progressing", message = "Waiting for the operator" }
end
if is_true("Reconciling") then
  return { status = "Progressing", message = conditions.Ready.message }
end
if is_true("Stalled") then
  return { status = "Degraded", message = conditions.Stalled.message }
end
if is_true("Ready") then
  return { status = "Healthy", message = conditions.Ready.message }
end
-- Observe with pending changes, or an adoption that waits for `,force`: a person decides, but nothing is broken.
if conditions.Ready.reason == "ChangesPending" then
  return { status = "Suspended", message = conditions.Ready.message }
end
return { status = "Progressing", message = conditions.Ready.message }
