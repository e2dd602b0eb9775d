"""The paper's figures: functions `data(result_set) -> DataFrame` and `chart(frame) -> Chart`."""
