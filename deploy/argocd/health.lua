-- Health of a ByocPhoneNumber, by kstatus: observedGeneration, then Reconciling, Stalled, Ready.
-- Degraded fails a sync that is under way, so it is said only where a person must act; a sync waits for all else.
-- There is no `string` library here: Argo CD runs this in a Lua with few libraries.
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
-- Told before the operator has answered: a paused number is suspended while the operator is down, too.
if paused == "true" or paused == "True" then
  return { status = "Suspended", message = "Paused: nothing is written to LiveKit" }
end
-- The conditions of an older spec say nothing about this one; at birth observedGeneration is -1.
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
-- Observe with a plan, or an adoption that waits for a word: a person decides, but nothing is broken.
if conditions.Ready.reason == "ChangesPending" then
  return { status = "Suspended", message = conditions.Ready.message }
end
return { status = "Progressing", message = conditions.Ready.message }
