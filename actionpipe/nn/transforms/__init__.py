"""Steps of a clip's pipeline that mmaction2 lacks."""
